import asyncio
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.fireflies import meeting_summarized, meeting_transcribed, transcription_completed
from handlers.fireflies_api import (
    TRIES,
    FirefliesBusy,
    FirefliesDown,
    FirefliesError,
    FirefliesRefused,
    TranscriptMissing,
    error_from,
    fetch_transcript,
)
from handlers.http_clients import HTTPClients
from handlers.testing import START, Attempt, run
from infra.cli.standins.fireflies import API_KEY, FirefliesStandIn, Trouble
from infra.cli.standins.fireflies_meeting import MEETING_ID
from infra.clock import ManualClock
from infra.ledger.records import Failed, Retried

URL = "http://fireflies.example/graphql"
EVENT = {"event": "meeting.summarized", "timestamp": 1763757671123, "meeting_id": MEETING_ID}


@pytest.fixture(autouse=True)
def _account(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("FIREFLIES_API_KEY", API_KEY)
    monkeypatch.setenv("FIREFLIES_API_URL", URL)
    return


def minutes(
    stand_in: FirefliesStandIn, *, handler: Any = meeting_summarized, payload: Any = EVENT, **words: Any
) -> Attempt:
    transport = httpx.ASGITransport(app=stand_in.app)
    http = HTTPClients(asynchronous=lambda: httpx.AsyncClient(transport=transport))
    return run(handler, payload, http=http, **words)


@pytest.mark.parametrize(
    ("handler", "event_type", "payload"),
    [
        (meeting_summarized, "meeting.summarized", EVENT),
        (
            meeting_transcribed,
            "meeting.transcribed",
            {**EVENT, "event": "meeting.transcribed", "client_reference_id": "r1"},
        ),
        (
            transcription_completed,
            "Transcription completed",
            {"meetingId": MEETING_ID, "eventType": "Transcription completed"},
        ),
    ],
)
def test_a_meeting_becomes_minutes(handler: Any, event_type: str, payload: Any) -> None:
    done = minutes(FirefliesStandIn(), handler=handler, type=event_type, payload=payload)

    result = done.result
    assert result["meeting"]["title"] == "Launch check-in"
    assert result["meeting"]["date"] == "2026-11-20T09:30:00.000Z"
    assert [item["owner"].split()[0] for item in result["action_items"]] == [
        "Jonas",
        "Jonas",
        "Priya",
        "Amara",
    ]
    assert [item["by"].split()[0] for item in result["decisions"]] == ["Amara", "Amara"]
    assert len(result["speakers"]) == 3
    assert sum(who["share"] for who in result["speakers"]) == pytest.approx(1, abs=0.001)
    assert [report.current for report in done.progress] == [0, 1, 2]


@pytest.mark.parametrize(
    "payload", [{}, {"meeting_id": ""}, {"meeting_id": 7}, {"meetingId": MEETING_ID}, [], "text"]
)
def test_an_event_without_a_meeting_is_rejected_unasked(payload: Any) -> None:
    stand_in = FirefliesStandIn()

    outcome = minutes(stand_in, payload=payload).outcome

    assert isinstance(outcome, Failed)
    assert outcome.error.type == "Reject"
    assert stand_in.requests == 0


@pytest.mark.parametrize("trouble", [Trouble.AUTH_FAILED, Trouble.FORBIDDEN, Trouble.PAID_REQUIRED])
def test_what_fireflies_refuses_fails_at_once(trouble: Trouble) -> None:
    stand_in = FirefliesStandIn(troubles=[trouble])

    outcome = minutes(stand_in).outcome

    assert isinstance(outcome, Failed)
    assert trouble in outcome.error.message
    assert stand_in.requests == 1


def test_a_wrong_key_fails_without_being_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIREFLIES_API_KEY", "the-wrong-key")

    outcome = minutes(FirefliesStandIn()).outcome

    assert isinstance(outcome, Failed)
    assert "auth_failed" in outcome.error.message
    assert "the-wrong-key" not in outcome.error.message + outcome.error.trace


def test_without_a_key_the_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FIREFLIES_API_KEY")

    outcome = minutes(FirefliesStandIn()).outcome

    assert isinstance(outcome, Failed)
    assert outcome.error.message == "FIREFLIES_API_KEY is not set"


def test_a_busy_fireflies_is_left_alone_until_it_says() -> None:
    clock = ManualClock(START)
    stand_in = FirefliesStandIn(
        troubles=[Trouble.TOO_MANY_REQUESTS], retry_after=timedelta(minutes=7), clock=clock
    )

    first = minutes(stand_in, clock=clock)

    assert isinstance(first.outcome, Retried)
    assert (first.outcome.delay, first.outcome.counted) == (timedelta(minutes=7), False)
    assert stand_in.requests == 1
    assert first.again().result["meeting"]["id"] == MEETING_ID


@pytest.mark.parametrize(
    ("retry_after", "delay"),
    [
        (timedelta(seconds=-5), timedelta(minutes=1)),
        (timedelta(seconds=1), timedelta(seconds=5)),
        (timedelta(days=30), timedelta(days=1)),
    ],
)
def test_how_long_it_is_left_alone_has_bounds(retry_after: timedelta, delay: timedelta) -> None:
    clock = ManualClock(START)
    stand_in = FirefliesStandIn(troubles=[Trouble.TOO_MANY_REQUESTS], retry_after=retry_after, clock=clock)

    outcome = minutes(stand_in, clock=clock).outcome

    assert isinstance(outcome, Retried)
    assert outcome.delay == delay


def test_a_transcript_may_appear_a_little_after_its_webhook() -> None:
    first = minutes(FirefliesStandIn(troubles=[Trouble.OBJECT_NOT_FOUND]))

    assert isinstance(first.outcome, Retried)
    assert not first.outcome.counted
    assert first.again().result["meeting"]["id"] == MEETING_ID


def test_a_transcript_that_never_appears_is_rejected() -> None:
    attempt = minutes(FirefliesStandIn(), payload={"meeting_id": "nobody-knows"})
    while isinstance(attempt.outcome, Retried):
        attempt = attempt.again()

    assert attempt.clock.now() - START == timedelta(minutes=10)
    assert isinstance(attempt.outcome, Failed)
    assert attempt.outcome.error.message.startswith("Fireflies has no such transcript")


def test_a_summary_in_the_making_is_waited_for() -> None:
    first = minutes(FirefliesStandIn(troubles=[Trouble.SUMMARY_PROCESSING]))

    assert isinstance(first.outcome, Retried)
    assert not first.outcome.counted
    assert first.again().result["summary"].startswith("The team moved the launch")


def test_a_summary_that_never_comes_is_done_without() -> None:
    attempt = minutes(FirefliesStandIn(troubles=[Trouble.SUMMARY_PROCESSING] * 100))
    while isinstance(attempt.outcome, Retried):
        attempt = attempt.again()

    assert attempt.clock.now() - START == timedelta(hours=2)
    assert attempt.result["summary"] is None
    assert len(attempt.result["action_items"]) >= 4
    assert [level for level, _ in attempt.logs] == ["warning"]


def test_a_skipped_summary_is_done_without() -> None:
    result = minutes(FirefliesStandIn(troubles=[Trouble.SUMMARY_SKIPPED])).result

    assert result["summary"] is None
    assert any("migration guide" in item["text"] for item in result["action_items"])


def fetch(troubles: list[Trouble | None]) -> tuple[Any, FirefliesStandIn, list[float]]:
    stand_in, waits = FirefliesStandIn(troubles=troubles), []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    async def main() -> Any:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=stand_in.app)) as http:
            try:
                return await fetch_transcript(MEETING_ID, http=http, url=URL, api_key=API_KEY, sleep=sleep)
            except FirefliesError as error:
                return error

    return asyncio.run(main()), stand_in, waits


@pytest.mark.parametrize(
    "trouble", [Trouble.INVARIANT_VIOLATION, Trouble.REQUEST_TIMEOUT, Trouble.BAD_GATEWAY]
)
def test_errors_that_pass_are_tried_again_within_the_attempt(trouble: Trouble) -> None:
    transcript, stand_in, waits = fetch([trouble, trouble])

    assert transcript.id == MEETING_ID
    assert stand_in.requests == 3
    assert all(0 <= wait <= 2 for wait in waits)


def test_errors_that_do_not_pass_in_three_tries_are_the_jobs_business() -> None:
    error, stand_in, _ = fetch([Trouble.INVARIANT_VIOLATION] * 10)

    assert isinstance(error, FirefliesDown)
    assert stand_in.requests == TRIES


def answering(response: httpx.Response | Exception) -> httpx.MockTransport:
    def answer(request: httpx.Request) -> httpx.Response:
        if isinstance(response, Exception):
            raise response
        return response

    return httpx.MockTransport(answer)


async def _no_wait(seconds: float) -> None:
    """Tests don't wait."""


@pytest.mark.parametrize(
    ("response", "kind"),
    [
        (httpx.ConnectError("refused"), FirefliesDown),
        (httpx.ReadTimeout("slow"), FirefliesDown),
        (httpx.Response(200, text="<html>"), FirefliesDown),
        (httpx.Response(200, content=b"\xff"), FirefliesDown),
        (httpx.Response(200, json=[]), FirefliesDown),
        (httpx.Response(200, content=b'{"data":{"transcript":{"id":"m1","duration":NaN}}}'), FirefliesDown),
        (httpx.Response(403, json={"message": "Forbidden"}), FirefliesDown),
        (httpx.Response(200, json={"data": {"transcript": None}}), TranscriptMissing),
        (httpx.Response(200, json={"data": {"transcript": {"id": 7, "sentences": "none"}}}), FirefliesDown),
        (httpx.Response(200, json={"errors": [{"code": "auth_failed"}]}), FirefliesRefused),
        (httpx.Response(200, json={"errors": [{"code": "too_many_requests"}]}), FirefliesBusy),
        (httpx.Response(403, json={"errors": [{"message": "a plan"}]}), FirefliesRefused),
        (httpx.Response(500, json={"errors": ["odd"]}), FirefliesDown),
        (httpx.Response(200, json={"errors": [{"code": "brand_new"}]}), FirefliesDown),
    ],
)
def test_every_answer_is_one_of_the_documented_errors(response: Any, kind: type[FirefliesError]) -> None:
    async def main() -> None:
        async with httpx.AsyncClient(transport=answering(response)) as http:
            await fetch_transcript("m1", http=http, url=URL, api_key="key", sleep=_no_wait)

    with pytest.raises(FirefliesError) as caught:
        asyncio.run(main())

    assert type(caught.value) is kind


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(["code", "message", "extensions", "status", "metadata", "retryAfter"]), inner
            )
        ),
    ),
    st.integers(100, 599),
)
def test_no_list_of_errors_is_too_strange(errors: Any, status: int) -> None:
    if errors:
        assert isinstance(error_from(json.loads(json.dumps(errors)), status=status), FirefliesError)
