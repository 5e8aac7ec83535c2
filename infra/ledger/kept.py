"""One job as Redis keeps it, in several keys, on its way to a record."""

from collections.abc import Mapping
from itertools import starmap
from typing import Any

from infra.clock import from_unix_milliseconds
from infra.ids import CALLBACK, JOB
from infra.ledger import keys
from infra.ledger.parsing import (
    attempt_record,
    callback_record,
    log_line,
    progress_of,
    result_of,
    rq_time,
    seconds,
    text,
    whole,
)
from infra.ledger.records import TERMINAL_STATUSES, JobRecord, JobStatus
from infra.ledger.seal import Seal
from infra.ledger.wire import Story, plain, unsealed

POSITION_SEARCHED = 10_000  # entries of a queue; further back a job's position is not told
LOG_LINES_READ = 200
_WITHOUT_ERROR = (JobStatus.FINISHED, JobStatus.CANCELED)


class Kept:
    """What Redis keeps of one job: the replies to `commands`, and then those to `where`."""

    @staticmethod
    def commands(job_id: str, event_id: str) -> list[tuple[str, ...]]:
        """The commands that read it."""
        return [
            ("HGETALL", keys.JOB + plain(job_id)),
            ("HMGET", keys.EVENT + plain(event_id), "head", f"job:{plain(job_id)}"),
            ("XREVRANGE", keys.RESULTS + plain(job_id), "+", "-"),
            ("LRANGE", keys.LOG + plain(job_id), str(-LOG_LINES_READ), "-1"),
        ]

    def __init__(
        self, seal: Seal, job_id: str, event_id: str, hash_: Any, told: Any, results: Any, lines: Any
    ) -> None:
        self.job_id, self.event_id = job_id, event_id
        self.hash = mapping(hash_)
        self.story: Story | None = unsealed(seal, job_id, event_id, *(told or (None, None)))
        self.entries = [(entry_id, mapping(flat)) for entry_id, flat in results or []]
        self.lines = tuple(map(log_line, lines or []))
        self.status = _status(self.hash)
        self.queue = text(self.hash.get(b"origin"))
        rounds = whole(self.hash.get(b"round"), 1)
        self.callback_id = CALLBACK + job_id.removeprefix(JOB) + (f"-{rounds}" if rounds > 1 else "")

    def where(self, *, positions: bool) -> list[tuple[str, ...]]:
        """The commands that find out where it waits, when it is due, and its callback."""
        searched = POSITION_SEARCHED if positions and self.status is JobStatus.QUEUED else 1
        return [
            ("LPOS", keys.QUEUE + self.queue, plain(self.job_id), "MAXLEN", str(searched)),
            ("ZSCORE", keys.SCHEDULED + self.queue, plain(self.job_id)),
            ("HGETALL", keys.CALLBACK + plain(self.callback_id)),
            ("ZSCORE", keys.OUTBOX, plain(self.callback_id)),
        ]

    def record(
        self, place: int | None, due: float | None, callback: Any, callback_due: float | None
    ) -> JobRecord | None:
        """The whole, from the replies to `where` too."""
        if self.story is None or not self.hash:
            return None
        told, latest = self.story.head, self.entries[0][1] if self.entries else {}
        attempts = tuple(reversed(list(starmap(attempt_record, self.entries))))
        created_at = rq_time(self.hash.get(b"created_at")) or from_unix_milliseconds(told["at"])
        return JobRecord(
            id=self.job_id,
            event_id=self.event_id,
            source=told["source"],
            type=told["type"],
            handler=text(latest.get(b"handler")) or None,
            status=self.status,
            queue=self.queue,
            position=place + 1 if self.status is JobStatus.QUEUED and place is not None else None,
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
        )


def mapping(reply: Any) -> Mapping[bytes, bytes]:
    """A hash, whichever way the client hands it over."""
    if isinstance(reply, Mapping):
        return reply
    pairs = list(reply or [])
    return dict(zip(pairs[::2], pairs[1::2], strict=False))


def _status(record: Mapping[bytes, bytes]) -> JobStatus:
    if record.get(b"outcome") == b"ignored":
        return JobStatus.IGNORED
    try:
        return JobStatus(text(record.get(b"status")))
    except ValueError:
        return JobStatus.QUEUED  # mangled: the next claim or sweep rebuilds it
