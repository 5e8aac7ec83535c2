from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.fireflies_api import MeetingInfo, Sentence, Summary, Transcript
from handlers.fireflies_minutes import action_items, commitments, decisions, minutes_of, speaker_shares
from handlers.results import encode_result


def said(who: str | None, text: str | None, start: float | None = None, end: float | None = None) -> Sentence:
    return Sentence(speaker_name=who, text=text, start_time=start, end_time=end)


@pytest.mark.parametrize(
    ("written", "items"),
    [
        (None, []),
        ("", []),
        ([], []),
        (
            "**Ana**\nSend it (00:10)\n\n**Ben Ode**\nBook it",
            [("Send it", "Ana", "00:10"), ("Book it", "Ben Ode", None)],
        ),
        ("**Ana:** Send it [1:02:03]", [("Send it", "Ana", "1:02:03")]),
        (["Send it", "- Book it"], [("Send it", None, None), ("Book it", None, None)]),
        (["**Ana**\n* Send it\n2. Book it"], [("Send it", "Ana", None), ("Book it", "Ana", None)]),
        ("**Ana**\n(00:10)\n", []),
    ],
)
def test_action_items_are_read_in_every_form_that_fireflies_uses(written: Any, items: list[tuple]) -> None:
    assert [(item["text"], item["owner"], item["at"]) for item in action_items(written)] == items


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("We decided to move the launch.", True),
        ("Let's go with two plans.", True),
        ("Let\u2019s go with two plans.", True),
        ("So we'll go with May, then.", True),
        ("They agreed on the price.", True),
        ("Have we decided on a date?", False),
        ("I feel undecided.", False),
        ("I agree, it's nice.", False),
    ],
)
def test_decisions_are_found_by_their_phrases(text: str, found: bool) -> None:
    assert bool(decisions([said("Ana", text)])) is found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("I'll send it.", True),
        ("I\u2019ll send it.", True),
        ("Can you check the export?", True),
        ("Please send me the draft.", True),
        ("Bill will.", False),
        ("That went well.", False),
    ],
)
def test_commitments_are_found_by_their_phrases(text: str, found: bool) -> None:
    assert bool(commitments([said("Ana", text)])) is found


def test_shares_go_by_time() -> None:
    shares = speaker_shares([said("Ana", "one", 0, 3), said("Ben", "one two three", 3, 4)])

    assert [(who["name"], who["seconds"], who["share"]) for who in shares] == [
        ("Ana", 3.0, 0.75),
        ("Ben", 1.0, 0.25),
    ]


@pytest.mark.parametrize(
    "times", [(None, None), (5.0, 1.0), (-1.0, 1.0), (0.0, float("nan")), (0.0, float("inf"))]
)
def test_shares_go_by_words_when_times_make_no_sense(times: tuple[Any, Any]) -> None:
    shares = speaker_shares([said("Ana", "one", 0, 3), said("Ben", "one two three", *times)])

    assert [(who["name"], who["seconds"], who["share"]) for who in shares] == [
        ("Ben", None, 0.75),
        ("Ana", None, 0.25),
    ]


def test_shares_go_by_words_when_no_time_passed() -> None:
    assert speaker_shares([said("Ana", "one", 0, 0)])[0]["share"] == 1.0


def test_who_is_not_named_is_unknown() -> None:
    assert [who["name"] for who in speaker_shares([said(None, "a"), said("  ", "b")])] == ["Unknown"]


def test_without_a_summary_the_sentences_say_what_to_do() -> None:
    transcript = Transcript(
        id="m1",
        sentences=[said("Ana", "I'll send the offer.", 3700, 3702)],
        summary=Summary(),
        meeting_info=MeetingInfo(summary_status="skipped"),
    )

    assert minutes_of(transcript)["action_items"] == [
        {"text": "I'll send the offer.", "owner": "Ana", "at": "1:01:40"}
    ]


def test_a_silent_meeting_has_empty_minutes() -> None:
    minutes = minutes_of(Transcript(id="m1", sentences=None, date=1e300))

    assert (minutes["action_items"], minutes["decisions"], minutes["speakers"]) == ([], [], [])
    assert minutes["meeting"]["date"] is None


TEXT = st.none() | st.text()
NUMBER = st.none() | st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**18), 10**18)
TRANSCRIPTS = st.fixed_dictionaries(
    {"id": st.text()},
    optional={
        "title": TEXT,
        "date": NUMBER,
        "duration": NUMBER,
        "sentences": st.none()
        | st.lists(
            st.fixed_dictionaries(
                {}, optional={"speaker_name": TEXT, "text": TEXT, "start_time": NUMBER, "end_time": NUMBER}
            )
        ),
        "summary": st.none()
        | st.fixed_dictionaries(
            {},
            optional={
                "overview": TEXT,
                "action_items": TEXT | st.lists(st.text()),
                "keywords": TEXT | st.lists(st.text()),
            },
        ),
    },
)


@given(TRANSCRIPTS)
def test_whatever_fireflies_sends_the_minutes_are_json(found: dict[str, Any]) -> None:
    minutes = minutes_of(msgspec.convert(found, Transcript, strict=False))

    encode_result(minutes)
    assert sum(who["share"] for who in minutes["speakers"]) == pytest.approx(
        1 if minutes["speakers"] else 0, abs=0.01
    )
