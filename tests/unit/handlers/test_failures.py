import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.bounds import clip, clip_front
from handlers.failures import MESSAGE_LIMIT, TRACE_LIMIT, describe


class Mute(Exception):
    def __str__(self) -> str:
        raise ValueError("nothing to say")


class Deadly(Exception):
    def __str__(self) -> str:
        raise SystemExit(3)


def raised(error: BaseException) -> BaseException:
    with pytest.raises(type(error)) as caught:
        raise error
    return caught.value


@pytest.mark.parametrize("error", [Mute(), Deadly()], ids=["mute", "deadly"])
def test_an_exception_that_can_not_speak_is_described_anyway(error: Exception) -> None:
    info = describe(raised(error))

    assert (info.type, info.message) == (type(error).__name__, "(its text can't be shown)")


@pytest.mark.parametrize("text", ["\ud83d broken", "x" * 100_000, "é" * 100_000])
def test_messages_and_traces_are_cut_and_clean(text: str) -> None:
    info = describe(raised(ValueError(text)))

    assert len(info.message.encode()) <= MESSAGE_LIMIT
    assert len(info.trace.encode()) <= TRACE_LIMIT


def test_a_trace_keeps_its_end() -> None:
    def deeper(level: int) -> None:
        if level == 0:
            raise ValueError("at the bottom")
        exec("deeper(level - 1)", {"deeper": deeper, "level": level})

    try:
        deeper(200)
    except ValueError as error:
        trace = describe(error).trace

    assert len(trace.encode()) <= TRACE_LIMIT
    assert trace.startswith("…")
    assert trace.endswith("ValueError: at the bottom\n")


@given(st.text(st.characters()), st.integers(min_value=3, max_value=50))
def test_cut_text_fits_and_is_utf8(text: str, limit: int) -> None:
    for cut in (clip(text, limit), clip_front(text, limit)):
        assert len(cut.encode()) <= limit
