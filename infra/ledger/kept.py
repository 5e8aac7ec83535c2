"""One job as Redis keeps it, in several keys, on its way to a record."""

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from infra.clock import from_unix_milliseconds
from infra.ids import CALLBACK, JOB
from infra.ledger.parsing import (
    attempt_record,
    callback_record,
    log_line,
    past_round,
    place_of,
    progress_of,
    result_of,
    rq_time,
    seconds,
    text,
    whole,
)
from infra.ledger.records import TERMINAL_STATUSES, AttemptRecord, JobRecord, JobStatus
from infra.ledger.seal import Seal
from infra.ledger.wire import Story, unsealed

_WITHOUT_ERROR = (JobStatus.FINISHED, JobStatus.CANCELED)


class Kept:
    """What Redis keeps of one job, as ``look.lua`` reads it.

    Args:
        round: which of its rounds is asked for; None: the present one.
    """

    def __init__(
        self,
        seal: Seal,
        job_id: str,
        event_id: str,
        hash_: Any,
        told: Any,
        results: Any,
        lines: Any,
        *,
        round: int | None = None,  # noqa: A002 - the contract's word
    ) -> None:
        self.job_id, self.event_id = job_id, event_id
        self.hash = mapping(hash_)
        self.story: Story | None = unsealed(seal, job_id, event_id, *(told or (None, None)))
        self.entries = [(entry_id, mapping(flat)) for entry_id, flat in results or []]
        self.lines = tuple(map(log_line, lines or []))
        self.status = status_of(self.hash.get(b"status"), self.hash.get(b"outcome"))
        self.queue = text(self.hash.get(b"origin"))
        present = whole(self.hash.get(b"round"), 1)
        self.past = [past_round(self.hash.get(b"round:%d" % number)) for number in range(1, present)]
        self.round = present if round is None else round
        self.callback_id = CALLBACK + job_id.removeprefix(JOB) + (f"-{self.round}" if self.round > 1 else "")

    def record(
        self, position: int | None, due: float | None, callback: Any, callback_due: float | None
    ) -> JobRecord | None:
        """The whole; an earlier round as it ended. None where there is no such job or round, or no seal holds.

        Args:
            due: in seconds since 1970; `callback_due` in milliseconds.
        """
        if self.story is None or not self.hash or self.round > len(self.past) + 1:
            return None
        told, latest = self.story.head, self.entries[0][1] if self.entries else {}
        attempts = tuple(self._attempt(*entry) for entry in reversed(self.entries))
        created_at = rq_time(self.hash.get(b"created_at")) or from_unix_milliseconds(told["at"])
        job = JobRecord(
            id=self.job_id,
            event_id=self.event_id,
            source=told["source"],
            type=told["type"],
            handler=text(latest.get(b"handler")) or None,
            status=self.status,
            queue=self.queue,
            position=position if self.status is JobStatus.QUEUED else None,
            attempts=attempts,
            attempt=whole(self.hash.get(b"attempt")),
            crashes=whole(self.hash.get(b"crashes")),
            max_attempts=whole(latest.get(b"of")) or None,
            ordering_key=self.story.birth.get("ordering_key"),
            next_attempt_at=seconds(due) if self.status is JobStatus.SCHEDULED else None,
            result=result_of(latest) if self.status is JobStatus.FINISHED else None,
            error=attempts[-1].error if attempts and self.status not in _WITHOUT_ERROR else None,
            progress=progress_of(self.hash.get(b"meta")),
            logs=self.lines,
            metadata=told.get("metadata", {}),
            callback=None
            if self.status is JobStatus.IGNORED  # nobody is called back
            else callback_record(
                self.callback_id,
                mapping(callback),
                job_id=self.job_id,
                event_id=self.event_id,
                story=self.story,
                created_at=created_at,
                due=callback_due,
            ),
            created_at=created_at,
            started_at=rq_time(self.hash.get(b"started_at")),
            ended_at=rq_time(self.hash.get(b"ended_at")) if self.status in TERMINAL_STATUSES else None,
            parent=told.get("parent"),
            tag=told.get("tag"),
            round=len(self.past) + 1,
            traceparent=told.get("headers", {}).get("traceparent"),
        )
        return job if self.round == job.round else self._as_it_ended(job)

    def _attempt(self, entry_id: bytes, entry: Mapping[bytes, bytes]) -> AttemptRecord:
        if not self.past:
            return attempt_record(entry_id, entry)
        place = place_of(entry_id)
        return replace(
            attempt_record(entry_id, entry), round=1 + sum(place > ended.last for ended in self.past)
        )

    def _as_it_ended(self, job: JobRecord) -> JobRecord:
        """The same job at the end of an earlier round, for the callback that tells of it."""
        ended = self.past[self.round - 1]
        return replace(
            job,
            status=JobStatus.FAILED,
            round=self.round,
            position=None,
            attempts=tuple(attempt for attempt in job.attempts if attempt.round == self.round),
            attempt=ended.attempts,
            next_attempt_at=None,
            result=None,
            error=ended.error,
            started_at=ended.started_at,
            ended_at=ended.ended_at,
        )


def mapping(reply: Any) -> Mapping[bytes, bytes]:
    """A hash, whichever way the client hands it over."""
    if isinstance(reply, Mapping):
        return reply
    pairs = list(reply or [])
    return dict(zip(pairs[::2], pairs[1::2], strict=False))


def status_of(status: bytes | None, outcome: bytes | None) -> JobStatus:
    """The status of a job, from those fields of its record. A parked one is queued; so is what is mangled: it will be made anew."""
    if outcome == b"ignored":
        return JobStatus.IGNORED
    try:
        return JobStatus(text(status))
    except ValueError:
        return JobStatus.QUEUED
