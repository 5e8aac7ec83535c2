"""Fireflies: when a meeting is transcribed and summarised, fetch it and make minutes of it.

The webhook carries the meeting's id alone. The result, and so the callback, carries the action items, the decisions
and who spoke how much. Needs ``FIREFLIES_API_KEY``.

Source: https://docs.fireflies.ai/graphql-api/webhooks-v2, and /webhooks for V1.
"""

from datetime import datetime, timedelta
from typing import Annotated, Any

from msgspec import Meta, Struct, to_builtins

from handlers import Context, Reject, RetryLater, handler
from handlers.fireflies_api import (
    FirefliesBusy,
    FirefliesRefused,
    Transcript,
    TranscriptMissing,
    fetch_transcript,
)
from handlers.fireflies_minutes import minutes_of
from infra.settings import Settings

# How long after its webhook a transcript may still be unknown, and a summary unwritten.
APPEARS_WITHIN = timedelta(minutes=10)
SUMMARISED_WITHIN = timedelta(hours=2)
BUSY_WAIT = timedelta(minutes=1)
SHORTEST_BUSY_WAIT, LONGEST_BUSY_WAIT = timedelta(seconds=5), timedelta(days=1)

MeetingId = Annotated[str, Meta(min_length=1)]


class MeetingEvent(Struct):
    """A V2 event."""

    meeting_id: MeetingId


class TranscriptionCompleted(Struct, rename="camel"):
    """A V1 event."""

    meeting_id: MeetingId


@handler("fireflies", "meeting.summarized", queue="high", timeout="2m")
async def meeting_summarized(context: Context, payload: MeetingEvent) -> dict[str, Any]:
    """V2, the best moment: the summary is there."""
    return await _minutes(context, payload.meeting_id)


@handler("fireflies", "meeting.transcribed", timeout="2m")
async def meeting_transcribed(context: Context, payload: MeetingEvent) -> dict[str, Any]:
    """V2, before the summary: waits for it."""
    return await _minutes(context, payload.meeting_id)


@handler("fireflies", "Transcription completed", timeout="2m")
async def transcription_completed(context: Context, payload: TranscriptionCompleted) -> dict[str, Any]:
    """V1: its only event."""
    return await _minutes(context, payload.meeting_id)


async def _minutes(context: Context, meeting_id: str) -> dict[str, Any]:
    context.progress(0, 2, "fetching the transcript")
    transcript = await _transcript(context, meeting_id)
    _wait_for_summary(context, transcript)
    context.progress(1, 2, "writing the minutes", item=transcript.title)
    minutes = minutes_of(transcript)
    settings = Settings.load()
    if settings.fireflies_organisation is not None and transcript.sentences:
        minutes["transcript_job"] = await _passed_on(
            context, transcript, settings.fireflies_organisation, settings.fireflies_programme
        )
    context.progress(2, 2, "done", item=transcript.title)
    return minutes


async def _passed_on(
    context: Context, transcript: Transcript, organisation: str, programme: str | None
) -> str:
    """Have the transcript processed, where ``docs/systems/meetings.md`` is in use; its project is what came as ``client_reference_id``."""
    wanted = {
        "organisation": organisation,
        "programme": programme,
        "project": context.metadata.get("client_reference_id"),
        "title": transcript.title or transcript.id,
        "sentences": to_builtins(transcript.sentences),
    }
    job: str = await context.enqueue("transcripts.process", wanted, tag=organisation)
    return job


async def _transcript(context: Context, meeting_id: str) -> Transcript:
    """Fetch it, and say what each of Fireflies' errors means for the job; `FirefliesDown` goes by the backoff."""
    settings = Settings.load()
    if settings.fireflies_api_key is None:
        raise Reject("FIREFLIES_API_KEY is not set")
    try:
        return await fetch_transcript(
            meeting_id, http=context.http, url=settings.fireflies_api_url, api_key=settings.fireflies_api_key
        )
    except FirefliesRefused as error:
        raise Reject(f"Fireflies refuses: {error}") from error
    except FirefliesBusy as error:
        raise RetryLater(
            _busy_wait(error.retry_at, context.now()), f"Fireflies is busy: {error}", count=False
        ) from error
    except TranscriptMissing as error:
        if _age(context) < APPEARS_WITHIN:
            raise RetryLater("30s", "Fireflies does not show the transcript yet", count=False) from error
        raise Reject(f"Fireflies has no such transcript: {error}") from error


def _wait_for_summary(context: Context, transcript: Transcript) -> None:
    """Come back while Fireflies writes; a summary that was skipped, failed or never comes is done without."""
    status = transcript.meeting_info.summary_status if transcript.meeting_info else None
    if status != "processing":
        return
    if _age(context) < SUMMARISED_WITHIN:
        raise RetryLater("2m", "Fireflies is still summarising", count=False)
    context.log.warning(
        "Fireflies is still summarising after two hours: making the minutes from the sentences"
    )


def _busy_wait(retry_at: datetime | None, now: datetime) -> timedelta:
    """Until Fireflies wants the next request, within bounds; a minute if it did not say, or said something past."""
    if retry_at is None or retry_at <= now:
        return BUSY_WAIT
    return min(max(retry_at - now, SHORTEST_BUSY_WAIT), LONGEST_BUSY_WAIT)


def _age(context: Context) -> timedelta:
    return context.now() - context.event.received_at
