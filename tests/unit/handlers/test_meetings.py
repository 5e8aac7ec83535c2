"""Meetings: chunks, vectors, a recording that Replicate hears, and summaries that are asked for once."""

import json
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette

from handlers import fireflies, meetings
from handlers.fireflies_api import Sentence
from handlers.http_clients import HTTPClients
from handlers.meetings import summaries
from handlers.meetings.embeddings import AT_ONCE, numbers
from handlers.meetings.text import chunks, keywords, sentences_of, telling
from handlers.services import JobState
from handlers.testing import Attempt, run
from infra.cli.standins import embeddings, replicate
from infra.cli.standins.fireflies import API_KEY, FirefliesStandIn
from infra.ledger.records import Failed, Retried, Waiting
from infra.signatures import new_whsec

SECRET = new_whsec(lambda size: b"k" * size)
PLACE = {"organisation": "acme", "project": "Launch", "programme": "2026"}
TALK = "Ana: We decided on May. Is it fine?\nBen: I'll tell the partners.\nAna: The partners will be glad, all partners."
SUMMARY = {
    "title": "Stand-up", "project": "Launch", "overview": "We decided on May.", "keywords": ["partners"],
    "decisions": [{"text": "We decided on May.", "by": "Ana", "at": None}],
    "action_items": [{"text": "I'll tell the partners.", "owner": "Ben", "at": None}],
}  # fmt: skip


def clients(app: Starlette) -> HTTPClients:
    return HTTPClients(asynchronous=lambda: httpx.AsyncClient(transport=httpx.ASGITransport(app)))


def summed(title: str, *, project: str = "Launch", status: str = "finished") -> JobState:
    return JobState(
        id=f"job_{title}", status=status, type="summaries.meeting", result={**SUMMARY, "title": title, "project": project},
        metadata={"project": project, "programme": "2026"},
    )  # fmt: skip


def asked(kind: str, name: str, status: str) -> JobState:
    return JobState(id=f"job_{kind}", status=status, type=f"summaries.{kind}", metadata={kind: name})


# -- text --------------------------------------------------------------------------------------------------------------


@given(
    st.lists(
        st.builds(Sentence, speaker_name=st.sampled_from([None, "Ana", "Ben"]), text=st.text("ab. ", min_size=1).filter(str.strip)),
        max_size=12,
    ),
    st.integers(10, 200),
)  # fmt: skip
def test_chunks_hold_every_sentence_in_order_and_are_no_larger_than_wanted(
    said: list[Sentence], size: int
) -> None:
    made = chunks(said, size)
    words = " ".join(chunk.text for chunk in made).replace("Ana:", "").replace("Ben:", "").split()
    assert words == " ".join(one.text or "" for one in said).split()
    alone = [chunks([one], size)[0].text for one in said]
    assert all(len(chunk.text) <= size or chunk.text in alone for chunk in made)


@given(st.text(max_size=500))
def test_any_text_is_a_transcript(text: str) -> None:
    assert all((one.text or "").strip() for one in sentences_of(text))


def test_what_many_sentences_speak_of_is_telling() -> None:
    texts = [
        "Hello everybody.",
        "The launch needs partners.",
        "Partners want the launch in spring.",
        "It rains.",
    ]
    assert telling(texts, 2) == texts[1:3]
    assert keywords(texts) == ["launch", "partners"]


# -- a transcript ------------------------------------------------------------------------------------------------------


def test_a_transcript_becomes_decisions_owned_items_and_chunks_then_a_summary_is_made() -> None:
    first = run(meetings.process, {**PLACE, "title": "Stand-up", "text": TALK})
    (asked_for,) = first.enqueued
    assert (asked_for.type, asked_for.queue, asked_for.tag) == ("summaries.meeting", "high", "acme")
    assert isinstance(first.outcome, Waiting)

    done = first.with_results(SUMMARY)
    assert [(one["owner"], one["text"]) for one in done.result["action_items"]] == [
        ("Ben", "I'll tell the partners.")
    ]
    assert [one["text"] for one in done.result["decisions"]] == ["We decided on May."]
    assert done.result["summary"] == SUMMARY
    assert done.result["chunks"]["model"] is None
    lines = [json.loads(line) for line in done.artifacts["chunks.jsonl"].decode().splitlines()]
    assert [(line["speakers"], line["text"]) for line in lines] == [(["Ana", "Ben"], TALK)]
    (project,) = done.enqueued
    assert (project.type, project.queue, project.tag, project.metadata) == (
        "summaries.project", "default", "acme", {"project": "Launch", "programme": "2026"},
    )  # fmt: skip


def test_a_meeting_of_no_project_asks_for_no_more() -> None:
    first = run(meetings.process, {"organisation": "acme", "title": "Stand-up", "text": TALK})
    assert first.with_results(SUMMARY).enqueued == []


def test_a_meeting_of_a_programme_without_a_project_asks_for_the_programme() -> None:
    place = {"organisation": "acme", "programme": "2026"}
    first = run(meetings.process, {**place, "title": "Stand-up", "text": TALK})
    (asked_for,) = first.with_results(SUMMARY).enqueued
    assert (asked_for.type, asked_for.queue, asked_for.payload) == ("summaries.programme", "low", place)


@pytest.mark.parametrize("payload", [{"text": " \n"}, {"sentences": []}, {}])
def test_an_empty_transcript_is_refused(payload: dict[str, Any]) -> None:
    outcome = run(meetings.process, {**PLACE, "title": "Silence", **payload}).outcome
    assert isinstance(outcome, Failed)
    assert outcome.error.message == "the transcript is empty"


def test_a_summary_that_fails_fails_its_transcript() -> None:
    first = run(meetings.process, {**PLACE, "title": "Stand-up", "text": TALK})
    outcome = first.with_results(ValueError("no")).outcome
    assert isinstance(outcome, Failed)
    assert outcome.error.message.endswith("failed")


# -- vectors -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Callable[..., embeddings.EmbeddingsStandIn]:
    monkeypatch.setenv("EMBEDDINGS_URL", "http://vectors")
    monkeypatch.setenv("EMBEDDINGS_KEY", embeddings.API_KEY)
    return lambda *troubles: embeddings.EmbeddingsStandIn(troubles=troubles)


def long_talk(count: int) -> dict[str, Any]:
    said = [{"speaker_name": "Ana", "text": f"Sentence {number} " + "word " * 230} for number in range(count)]
    return {"organisation": "acme", "title": "Long", "sentences": said}


@pytest.mark.parametrize("trouble", [None, embeddings.Trouble.NUMBERS])
def test_every_chunk_has_the_vector_of_its_text(
    model: Callable[..., Any], trouble: embeddings.Trouble | None
) -> None:
    stand_in = model(trouble)
    first = run(meetings.process, long_talk(AT_ONCE + 3), http=clients(stand_in.app))
    lines = [json.loads(line) for line in first.artifacts["chunks.jsonl"].decode().splitlines()]
    assert len(lines) == AT_ONCE + 3
    for line in lines:
        assert line["vector"] == pytest.approx(embeddings.vector_of(line["text"]), abs=1e-6)


def test_vectors_that_were_paid_for_are_not_asked_for_again(model: Callable[..., Any]) -> None:
    stand_in = model(None, embeddings.Trouble.BUSY)
    first = run(meetings.process, long_talk(AT_ONCE + 3), http=clients(stand_in.app))
    assert isinstance(first.outcome, Retried)
    assert first.outcome.delay == timedelta(seconds=3)
    assert isinstance(first.again().outcome, Waiting)
    assert stand_in.texts == AT_ONCE + 3


def test_a_wrong_key_is_refused(model: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMBEDDINGS_KEY", "other")
    outcome = run(meetings.process, long_talk(1), http=clients(model().app)).outcome
    assert isinstance(outcome, Failed)
    assert outcome.error.message == "the embeddings answers 401: Incorrect API key provided"


@pytest.mark.parametrize("vector", ["AA", "!", "é"])
def test_a_vector_that_is_none_is_told_so(vector: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        numbers(vector)


# -- a recording -------------------------------------------------------------------------------------------------------

RECORDING = {**PLACE, "title": "Stand-up", "audio": "https://example.com/a.mp3"}


@pytest.fixture
def listen(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[Attempt, replicate.ReplicateStandIn]]:
    monkeypatch.setenv("REPLICATE_API_URL", "http://replicate")
    monkeypatch.setenv("REPLICATE_API_TOKEN", replicate.API_TOKEN)
    monkeypatch.setenv("REPLICATE_MODEL", "openai/whisper:1")
    monkeypatch.setenv("HOOKLINE_PUBLIC_URL", "https://hooks.example")

    def started(
        troubles: Iterable[replicate.Trouble | None] = (),
    ) -> tuple[Attempt, replicate.ReplicateStandIn]:
        heard = httpx.MockTransport(lambda _request: httpx.Response(202))
        stand_in = replicate.ReplicateStandIn(
            secret=SECRET, listens_for=0, troubles=troubles, transport=heard
        )
        return run(meetings.transcribe, RECORDING, http=clients(stand_in.app)), stand_in

    return started


def test_a_recording_is_started_once_and_goes_on_when_replicate_has_heard_it(
    listen: Callable[..., Any],
) -> None:
    waits, stand_in = listen()
    ((prediction_id, prediction),) = stand_in.predictions.items()
    assert isinstance(waits.outcome, Waiting)
    assert (waits.outcome.source, waits.outcome.key) == ("replicate", prediction_id)
    assert prediction["input"] == {"audio": RECORDING["audio"]}

    working = waits.with_event(prediction)
    (made,) = working.enqueued
    assert (made.type, made.tag, made.payload["project"]) == ("transcripts.process", "acme", "Launch")
    assert made.payload["sentences"][0]["speaker_name"] == "Amara Okafor"
    done = working.with_results({"decisions": []})
    assert done.result == {"prediction": prediction_id, "decisions": []}
    assert list(stand_in.predictions) == [prediction_id]


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (
            {"id": "p", "status": "failed", "error": "can't be decoded"},
            "the prediction failed: can't be decoded",
        ),
        ({"id": "p", "status": "canceled"}, "the prediction canceled: it does not say why"),
        ({"id": "p", "status": "succeeded", "output": "text"}, "not as documented"),
        ([], "not as documented"),
    ],
)
def test_a_prediction_that_brings_nothing_fails_the_job(
    listen: Callable[..., Any], event: Any, words: str
) -> None:
    waits, _ = listen()
    outcome = waits.with_event(event).outcome
    assert isinstance(outcome, Failed)
    assert words in outcome.error.message


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        (
            replicate.Trouble.NO_CREDIT,
            "Replicate answers 402: You have insufficient credit to run this model.",
        ),
        (replicate.Trouble.INVALID, "Replicate answers 422: - input.audio: Does not match format 'uri'"),
    ],
)
def test_what_replicate_refuses_fails_at_once(
    listen: Callable[..., Any], trouble: replicate.Trouble, words: str
) -> None:
    outcome = listen([trouble])[0].outcome
    assert isinstance(outcome, Failed)
    assert outcome.error.message == words


@pytest.mark.parametrize(
    ("trouble", "seconds"), [(replicate.Trouble.THROTTLED, 2), (replicate.Trouble.DOWN, 10)]
)
def test_a_replicate_that_is_busy_is_asked_later(
    listen: Callable[..., Any], trouble: replicate.Trouble, seconds: int
) -> None:
    first, stand_in = listen([trouble])
    assert isinstance(first.outcome, Retried)
    assert (first.outcome.delay, first.outcome.counted) == (timedelta(seconds=seconds), False)
    assert isinstance(first.again().outcome, Waiting)
    assert len(stand_in.predictions) == 1


@pytest.mark.parametrize("audio", ["http://example.com/a.mp3", "file:///etc/passwd", "a.mp3"])
def test_a_recording_is_behind_https(audio: str) -> None:
    outcome = run(meetings.transcribe, {**RECORDING, "audio": audio}).outcome
    assert isinstance(outcome, Failed)
    assert "`$.audio`" in outcome.error.message


def test_without_a_token_or_an_address_of_our_own_nothing_is_transcribed() -> None:
    outcome = run(meetings.transcribe, RECORDING).outcome
    assert isinstance(outcome, Failed)
    assert "REPLICATE_API_TOKEN" in outcome.error.message


# -- summaries ---------------------------------------------------------------------------------------------------------


def test_a_meeting_is_summed_up_in_its_own_words() -> None:
    said = [one.text or "" for one in sentences_of(TALK)]
    payload = {**PLACE, "title": "Stand-up", "sentences": said, "decisions": [], "action_items": []}
    result = run(summaries.meeting, payload).result
    assert result["keywords"] == ["partners"]
    assert all(part in TALK for part in result["overview"].split(". "))


def test_a_project_has_the_decisions_and_the_owners_of_all_its_finished_meetings() -> None:
    known = [
        summed("First"),
        summed("Second"),
        summed("Other", project="Other"),
        summed("Late", status="started"),
    ]
    done = run(summaries.project, PLACE, earlier={"-": known})
    assert done.result["meetings"] == ["First", "Second"]
    assert [one["meeting"] for one in done.result["decisions"]] == ["First", "Second"]
    assert [one["meeting"] for one in done.result["action_items"]["Ben"]] == ["First", "Second"]
    (programme,) = done.enqueued
    assert (programme.type, programme.queue, programme.metadata) == (
        "summaries.programme",
        "low",
        {"programme": "2026"},
    )


def test_a_programme_has_its_projects() -> None:
    known = [summed("First"), summed("Second", project="Other")]
    result = run(
        summaries.programme, {"organisation": "acme", "programme": "2026"}, earlier={"-": known}
    ).result
    assert [(one["project"], one["meetings"]) for one in result["projects"]] == [
        ("Launch", ["First"]),
        ("Other", ["Second"]),
    ]


@pytest.mark.parametrize(
    ("known", "made"),
    [
        ([asked("programme", "2026", "scheduled")], 0),
        ([asked("programme", "2026", "queued")], 0),
        ([asked("programme", "2026", "started")], 1),
        ([asked("programme", "2026", "finished")], 1),
        ([asked("programme", "2025", "queued")], 1),
    ],
)
def test_one_that_waits_is_enough(known: list[JobState], made: int) -> None:
    assert len(run(summaries.project, PLACE, earlier={"-": known}).enqueued) == made


@pytest.mark.parametrize(("programme", "made"), [("2026", 0), (None, 1), ("2025", 1)])
def test_a_project_that_waits_for_another_programme_is_not_enough(programme: str | None, made: int) -> None:
    place = {name: text for name, text in (("project", "Launch"), ("programme", programme)) if text}
    waits = JobState(id="job_w", status="scheduled", type="summaries.project", metadata=place)
    first = run(meetings.process, {**PLACE, "title": "Stand-up", "text": TALK}, earlier={"-": [waits]})
    assert len(first.with_results(SUMMARY).enqueued) == made


# -- Fireflies ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("organisation", "programme", "made"), [(None, "2026", 0), ("acme", None, 1), ("acme", "2026", 1)]
)
def test_fireflies_meetings_go_on_where_they_have_an_organisation(
    monkeypatch: pytest.MonkeyPatch, organisation: str | None, programme: str | None, made: int
) -> None:
    monkeypatch.setenv("FIREFLIES_API_URL", "http://fireflies/graphql")
    monkeypatch.setenv("FIREFLIES_API_KEY", API_KEY)
    if organisation is not None:
        monkeypatch.setenv("FIREFLIES_ORGANISATION", organisation)
    if programme is not None:
        monkeypatch.setenv("FIREFLIES_PROGRAMME", programme)
    event = {"event": "meeting.summarized", "meeting_id": "m1"}
    http = clients(FirefliesStandIn(meeting_id="m1").app)
    done = run(fireflies.meeting_summarized, event, http=http, metadata={"client_reference_id": "Launch"})
    assert len(done.enqueued) == made
    assert ("transcript_job" in done.result) == bool(made)
    for job in done.enqueued:
        assert (job.type, job.tag, job.payload["project"], job.payload["title"]) == (
            "transcripts.process", "acme", "Launch", "Launch check-in",
        )  # fmt: skip
        assert job.payload["programme"] == programme
