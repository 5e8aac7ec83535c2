"""Meetings: a transcript, or a recording, becomes chunks with vectors, decisions, action items, and summaries that go up to a programme.

``docs/systems/meetings.md`` shows the payloads.
"""

import json
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from handlers import Context, Reject, RetryLater, handler
from handlers.fireflies_api import Sentence
from handlers.fireflies_minutes import commitments, decisions, speaker_shares
from handlers.meetings import replicate
from handlers.meetings.embeddings import AT_ONCE, Embeddings, numbers
from handlers.meetings.summaries import MeetingToSum, Place, Text, summary_above
from handlers.meetings.text import Chunk, chunks, sentences_of
from handlers.outside import ServiceBusy
from infra.settings import Settings

TRANSCRIBED_WITHIN: Final = "30m"


class TranscriptToProcess(Place):
    """A transcript.

    Args:
        sentences: as Fireflies has them; or else
        text: lines of ``Name: what was said``.
    """

    title: Text
    sentences: list[Sentence] | None = None
    text: str | None = None


class Recording(Place):
    """Sound behind an https URL, which Replicate fetches."""

    title: Text
    audio: Annotated[str, Meta(pattern=r"^https://\S+$", max_length=2_000)]


@handler("api", "transcripts.process", timeout="5m")
async def process(context: Context, payload: TranscriptToProcess) -> dict[str, Any]:
    """What was decided, who does what, the chunks as an artifact; then the summaries."""
    said = payload.sentences if payload.sentences is not None else sentences_of(payload.text or "")
    said = [one for one in said if (one.text or "").strip()]
    if not said:
        raise Reject("the transcript is empty")
    pieces = chunks(said)
    model, vectors = await _vectors(context, pieces)
    context.progress(len(pieces), len(pieces), "keeping the chunks", stage="chunks", item=payload.title)
    lines = [
        json.dumps(msgspec.to_builtins(one) | ({"vector": numbers(vector)} if vector else {}))
        for one, vector in zip(pieces, vectors, strict=True)
    ]
    kept = await context.artifact("chunks.jsonl", "\n".join(lines) + "\n", "application/jsonl")
    found = {
        "title": payload.title,
        "action_items": commitments(said),
        "decisions": decisions(said),
        "speakers": speaker_shares(said),
    }
    summary = await _summarised(context, payload, found, [one.text or "" for one in said])
    return {
        **found,
        "organisation": payload.organisation,
        "summary": summary,
        "chunks": {"count": len(pieces), "model": model, "file": kept},
    }


@handler("api", "transcripts.transcribe", timeout="5m")
async def transcribe(context: Context, payload: Recording) -> dict[str, Any]:
    """Replicate listens, and says so by its webhook; the job holds nothing meanwhile. Then as `process`, whose result this is too."""
    settings = Settings.load()
    token, model = settings.replicate_api_token, settings.replicate_model
    if not (token and model and settings.public_url):
        raise Reject("transcription needs REPLICATE_API_TOKEN, REPLICATE_MODEL and HOOKLINE_PUBLIC_URL")
    hook = f"{settings.public_url}/hooks/replicate"
    context.progress(0, 2, "Replicate is listening", stage="transcription", item=payload.title)
    try:
        prediction = await context.step(
            "start",
            replicate.start,
            context.http,
            settings.replicate_api_url,
            token,
            model,
            payload.audio,
            hook,
        )
    except ServiceBusy as busy:
        raise RetryLater(busy.delay, str(busy), count=False) from busy
    event = await context.wait_for("replicate", prediction, TRANSCRIBED_WITHIN)
    said = replicate.sentences_of(event.payload)
    context.progress(1, 2, "working on the transcript", stage="transcript", item=payload.title)
    place = {name: getattr(payload, name) for name in Place.__struct_fields__}
    wanted = TranscriptToProcess(**place, title=payload.title, sentences=said)
    job = await context.enqueue("transcripts.process", msgspec.to_builtins(wanted), tag=payload.organisation)
    (state,) = await context.outcomes([job])
    if state.status != "finished":
        raise Reject(
            f"the transcript's job {job} {state.status}: {state.error.message if state.error else ''}"
        )
    context.progress(2, 2, "done", item=payload.title)
    return {"prediction": prediction, **state.result}


async def _vectors(context: Context, pieces: list[Chunk]) -> tuple[str | None, list[str | None]]:
    """The model, and a vector for each chunk; none where no model is set up. What was paid for is kept."""
    settings = Settings.load()
    if settings.embeddings_url is None:
        return None, [None] * len(pieces)
    model = Embeddings(
        url=settings.embeddings_url, key=settings.embeddings_key, model=settings.embeddings_model
    )
    found: list[str | None] = []
    for first in range(0, len(pieces), AT_ONCE):
        context.progress(first, len(pieces), f"vectors from chunk {first + 1} on", stage="embeddings")
        texts = [one.text for one in pieces[first : first + AT_ONCE]]
        found += await context.step(f"vectors {first}", model.vectors, context.http, texts)
    return model.model, found


async def _summarised(
    context: Context, place: Place, found: dict[str, Any], texts: list[str]
) -> dict[str, Any]:
    """The meeting's summary, by a job of its own; once that is there, the next one up is asked for."""
    meeting = MeetingToSum(
        organisation=place.organisation,
        programme=place.programme,
        project=place.project,
        title=found["title"],
        sentences=texts,
        decisions=found["decisions"],
        action_items=found["action_items"],
    )
    where = {"programme": place.programme, "project": place.project}
    job = await context.enqueue(
        "summaries.meeting",
        msgspec.to_builtins(meeting),
        queue="high",
        tag=place.organisation,
        metadata={name: text for name, text in where.items() if text is not None},
    )
    (state,) = await context.outcomes([job])
    if state.status != "finished":
        raise Reject(f"the summary's job {job} {state.status}")
    await summary_above(context, place)
    summary: dict[str, Any] = state.result
    return summary
