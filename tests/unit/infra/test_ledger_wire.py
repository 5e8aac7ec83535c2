"""What goes into Redis, and what is believed of what comes back."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.ledger.records import Arrival, CallbackFormat, CallbackOptions, CallbackStatus
from infra.ledger.seal import Seal
from infra.ledger.wire import (
    accept_arguments,
    birth_of,
    dumps,
    head_of,
    rq_result,
    seen_key,
    unsealed,
)

SEAL = Seal(["a key"])
ID = "0" * 26


def arrival(**changes: Any) -> Arrival:
    usual = {
        "event_id": f"evt_{ID}",
        "job_id": f"job_{ID}",
        "source": "acme",
        "type": "order.paid",
        "received_at": datetime(2026, 11, 21, tzinfo=UTC),
        "body": b"{}",
    }
    return Arrival(**(usual | changes))


def sealed(one: Arrival) -> tuple[bytes, bytes]:
    """Its head and its birth, as accept.lua keeps them."""
    arguments = accept_arguments(one, SEAL)
    assert isinstance(arguments[4], bytes)
    assert isinstance(arguments[6], bytes)
    return arguments[4], arguments[6]


def test_what_is_as_usual_takes_no_room() -> None:
    one = arrival()
    assert json.loads(head_of(one, body="d1g35t")) == {
        "source": "acme",
        "type": "order.paid",
        "at": 1795219200000,
        "digest": "d1g35t",
    }
    assert json.loads(birth_of(one)) == {"queue": "default"}


def test_what_is_not_as_usual_is_kept() -> None:
    one = arrival(
        tag="eu",
        content_type="text/plain",
        headers={"x": "y"},
        provider_event_id="ev_1",
        metadata={"a": 1},
        accepted_by="ops",
        queue="high",
        timeout=timedelta(seconds=9.6),
        run_at=datetime(2100, 1, 1, tzinfo=UTC),
        callback_url="https://x.example/",
        callback_refusal="no",
    )
    assert json.loads(head_of(one, body="d1g35t")) == {
        "source": "acme",
        "type": "order.paid",
        "tag": "eu",
        "at": 1795219200000,
        "digest": "d1g35t",
        "content_type": "text/plain",
        "headers": {"x": "y"},
        "id": "ev_1",
        "metadata": {"a": 1},
        "accepted_by": "ops",
    }
    assert json.loads(birth_of(one)) == {
        "queue": "high",
        "timeout": 10,
        "run_at": 4102444800000,
        "callback": "blocked",
        "url": "https://x.example/",
        "refusal": "no",
    }


@pytest.mark.parametrize(("url", "refusal", "expected"), [
    (None, None, None),
    ("https://x.example/", None, CallbackStatus.PENDING),
    ("ftp://x.example/", "not https", CallbackStatus.BLOCKED),
])  # fmt: skip
def test_the_story_tells_of_the_callback(
    url: str | None, refusal: str | None, expected: CallbackStatus | None
) -> None:
    one = arrival(callback_url=url, callback_refusal=refusal)
    story = unsealed(SEAL, one.job_id, one.event_id, *sealed(one))
    assert story is not None
    assert story.callback is expected


@given(st.binary(max_size=60), st.integers(0, 300), st.booleans())
def test_no_change_of_head_or_birth_is_believed(other: bytes, place: int, in_head: bool) -> None:
    one = arrival(metadata={"order": 7})
    head, birth = sealed(one)
    kept = head if in_head else birth
    changed = kept[:place] + other + kept[place + len(other) :]
    parts = (changed, birth) if in_head else (head, changed)
    story = unsealed(SEAL, one.job_id, one.event_id, *parts)
    assert (story is None) == (changed != kept)


@pytest.mark.parametrize(
    ("job_id", "event_id"), [("job_x", f"evt_{ID}"), (f"job_{ID}", "evt_x"), ("\ud800", "\ud800")]
)
def test_a_story_belongs_to_its_ids(job_id: str, event_id: str) -> None:
    assert unsealed(SEAL, job_id, event_id, *sealed(arrival())) is None


def test_a_missing_part_is_not_believed() -> None:
    head, birth = sealed(arrival())
    assert unsealed(SEAL, f"job_{ID}", f"evt_{ID}", None, birth) is None
    assert unsealed(SEAL, f"job_{ID}", f"evt_{ID}", head, None) is None


@given(st.text(), st.text())
def test_ids_of_two_sources_are_never_taken_for_each_other(source: str, event_id: str) -> None:
    assert len(seen_key("acme", event_id)) == 22
    assert seen_key("acme", event_id) != seen_key("acme2", event_id)
    assert seen_key("acme", event_id + "x") != seen_key("acme", event_id)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=5))
def test_json_is_ascii_and_reads_back(value: Any) -> None:
    assert dumps(value).isascii()
    assert json.loads(dumps(value)) == value


def test_a_result_that_has_no_utf8_can_be_kept() -> None:
    assert rq_result('"\ud800"') == "Ilx1ZDgwMCI="


def test_a_number_that_json_lacks_is_refused() -> None:
    with pytest.raises(ValueError, match="Out of range"):
        dumps(float("nan"))


def test_a_seal_needs_a_key() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Seal([])


@given(st.lists(st.binary(), min_size=2, max_size=4))
def test_parts_can_not_be_moved_between_their_neighbours(parts: list[bytes]) -> None:
    moved = [parts[0] + b"x", *parts[1:]]
    shifted = [parts[0], b"x" + parts[1], *parts[2:]]
    assert SEAL.make(*moved) != SEAL.make(*shifted)


OPTIONS = CallbackOptions(format=CallbackFormat.RESULT, progress=True, max_body=4096)


@pytest.mark.parametrize("options", [CallbackOptions(), OPTIONS])
def test_how_a_caller_wants_to_be_called_back_is_sealed(options: CallbackOptions) -> None:
    one = arrival(callback_url="https://example.com/", callback_options=options)
    story = unsealed(SEAL, one.job_id, one.event_id, *sealed(one))
    assert story is not None
    assert story.callback_options == options
    assert story.progress_url == (one.callback_url if options.progress else None)


def test_a_caller_that_may_not_be_called_is_not_told_of_progress_either() -> None:
    one = arrival(callback_url="https://10.0.0.1/", callback_refusal="no", callback_options=OPTIONS)
    story = unsealed(SEAL, one.job_id, one.event_id, *sealed(one))
    assert story is not None
    assert (story.callback, story.progress_url) == (CallbackStatus.BLOCKED, None)
