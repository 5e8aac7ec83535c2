"""Jobs on their way: claimed, settled, taken over, promoted, mended, retired."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from infra.clock import from_unix_milliseconds
from infra.durations import milliseconds
from infra.ledger.parsing import rq_time, text, whole
from infra.ledger.records import (
    Claim,
    ErrorInfo,
    Failed,
    Finished,
    Ignored,
    JobStatus,
    Progress,
    Released,
    Retried,
    Settlement,
)
from infra.ledger.scripts import BATCH, Argument, Scripts
from infra.ledger.seal import Seal
from infra.ledger.wire import change, digest, error_json, meta_of, rq_result, rq_trace, unsealed

log = logging.getLogger(__name__)

CRASH_CAP = 3  # a job that outlived this many workers' deaths is given up
LOG_LINES_KEPT = 200
PAGES = 50  # of a walk, a call
KEYS_SCANNED = 250  # a page, when indices are made anew

_LARGE: Final = 4 << 20  # bytes of results and traces that one script takes

_WORKER_LOST = ErrorInfo(
    type="WorkerLost", message="the worker died, or was silent for longer than its lease, during this attempt"
)
_CRASHED_OUT = ErrorInfo(
    type="WorkerLost",
    message=f"the worker died during this attempt, for the {CRASH_CAP}rd time: the job is given up",
)


@dataclass(frozen=True, slots=True)
class Takeover:
    """What a look for dead workers found: jobs given back, jobs given up, and whether to look again."""

    requeued: int
    failed: int
    more: bool


@dataclass(frozen=True, slots=True)
class Turn:
    """What one round trip of a worker gave: jobs to run, and whether a callback waits to be sent."""

    claims: tuple[Claim, ...]
    callbacks_queued: bool


@dataclass(frozen=True, slots=True)
class Report:
    """What a running handler said since the last report."""

    claim: Claim
    progress: Progress | None = None
    lines: tuple[str, ...] = ()


class Jobs:
    """The scripts that move jobs, as calls."""

    def __init__(
        self, scripts: Scripts, seal: Seal, *, retention: timedelta, dead_retention: timedelta
    ) -> None:
        self._scripts = scripts
        self._seal = seal
        self._retention = retention
        self._dead_retention = dead_retention

    async def turn(
        self,
        worker: str,
        settlements: Sequence[Settlement],
        *,
        sequence: int,
        slots: int,
        queues: Sequence[str],
        lease: timedelta,
    ) -> Turn:
        """Settle what ended and claim what fits, in one round trip.

        Args:
            sequence: the claim's number; repeated with the same number, it gives the same jobs.
            slots: the most jobs to claim; at most `BATCH` are.

        Raises:
            LedgerError: not confirmed; to be repeated as it is.
        """
        calls = self._settling(worker, settlements)
        claiming: list[Argument] = [worker, sequence, min(slots, BATCH), milliseconds(lease), *queues]
        replies = await self._scripts.run_all([*calls, ("claim", claiming)])
        claims = []
        claimed_at = from_unix_milliseconds(int(replies[-1][0]))
        for item in replies[-1][1:]:
            claim = self._claim(item, claimed_at)
            if claim is None:
                log.error(
                    "a record was changed behind our back and is quarantined", extra={"job": text(item[0])}
                )
                await self._scripts.run(
                    "quarantine", worker, item[0], item[2], "its seal does not hold: the record was changed"
                )
            else:
                claims.append(claim)
        return Turn(tuple(claims), _called(replies[:-1]))

    async def settle(self, worker: str, settlements: Sequence[Settlement]) -> bool:
        """Settle only, as a worker does that claims nothing more. Returns whether a callback waits to be sent.

        Raises:
            LedgerError: not confirmed; to be repeated as it is.
        """
        return _called(await self._scripts.run_all(self._settling(worker, settlements)))

    async def report(self, reports: Sequence[Report]) -> None:
        """Keep progress and log lines of running jobs: the last `LOG_LINES_KEPT` of each job.

        Raises:
            LedgerError: not confirmed; repeated, the lines of a report may be kept twice.
        """
        items: list[list[Argument]] = []
        for said in reports:
            meta = "" if said.progress is None else meta_of(said.progress)
            lines = said.lines[-LOG_LINES_KEPT:]
            items.append([said.claim.job_id, said.claim.token, meta, len(lines), *lines])
        await self._scripts.run_all(_batches("report", [LOG_LINES_KEPT], items))

    async def take_over(self) -> Takeover:
        """Give back the jobs of workers whose lease ran out, a bounded number a call.

        Raises:
            LedgerError: not confirmed.
        """
        reply = await self._scripts.run(
            "take_over", BATCH, CRASH_CAP, error_json(_WORKER_LOST), error_json(_CRASHED_OUT), rq_trace(_CRASHED_OUT.message),
            _seconds(self._dead_retention),
        )  # fmt: skip
        return Takeover(reply[0], reply[1], bool(reply[2]))

    async def promote(self, queues: Sequence[str]) -> tuple[int, timedelta | None]:
        """Queue what is due. Returns how many, and how long until the next, if any waits.

        Raises:
            LedgerError: not confirmed.
        """
        count, wait = await self._scripts.run("promote", BATCH, *queues)
        return count, None if wait < 0 else timedelta(milliseconds=wait)

    async def sweep(self, *, patience: timedelta) -> int:
        """Look at open jobs and pending callbacks, and mend what stands nowhere. Returns how much was mended.

        A call looks at `PAGES` times `BATCH` of each, at most; the next one, by whichever worker, goes on from there.

        Args:
            patience: how long a job must have waited before its absence counts.

        Raises:
            LedgerError: not confirmed; what was mended is mended.
        """
        return (
            await self._walk(
                "rebuild", KEYS_SCANNED, _seconds(self._retention), _seconds(self._dead_retention)
            )
            + await self._walk("sweep", BATCH, milliseconds(patience))
            + await self._walk("sweep_callbacks", BATCH)
        )

    async def retire(self) -> int:
        """Remove jobs past retention, oldest first, a bounded number a call. Returns how many.

        Raises:
            LedgerError: not confirmed; what was removed is removed.
        """
        return await self._walk(
            "retire", BATCH, milliseconds(self._retention), milliseconds(self._dead_retention)
        )

    async def _walk(self, script: str, *arguments: Argument) -> int:
        done = 0
        for _ in range(PAGES):
            in_page, ended = await self._scripts.run(script, *arguments)
            done += in_page
            if ended:
                break
        return done

    def _claim(self, item: Sequence[bytes], claimed_at: datetime) -> Claim | None:
        job, event, token, queue, attempt, crashes, created_at, head, body, birth = item
        job_id, event_id = text(job), text(event)
        story = unsealed(self._seal, job_id, event_id, head, birth)
        if story is None or story.head["digest"] != digest(body):
            return None
        told = story.head
        return Claim(
            job_id=job_id,
            event_id=event_id,
            token=text(token),
            queue=text(queue),
            attempt=whole(attempt, 1),
            crashes=whole(crashes),
            claimed_at=claimed_at,
            created_at=rq_time(created_at) or claimed_at,
            source=told["source"],
            type=told["type"],
            received_at=from_unix_milliseconds(told["at"]),
            headers=told.get("headers", {}),
            content_type=told.get("content_type", "application/json"),
            body=body,
            metadata=told.get("metadata", {}),
            tag=told.get("tag"),
            provider_event_id=told.get("id"),
            callback=story.callback,
        )

    def _settling(self, worker: str, settlements: Sequence[Settlement]) -> list[tuple[str, list[Argument]]]:
        finishing: list[list[Argument]] = []
        retrying: list[list[Argument]] = []
        for settlement in settlements:
            outcome = settlement.outcome
            if isinstance(outcome, Finished | Failed | Ignored):
                finishing.append(_finish_arguments(settlement, outcome))
            else:
                retrying.append(_retry_arguments(settlement, outcome))
        retentions: list[Argument] = [_seconds(self._retention), _seconds(self._dead_retention)]
        return _batches("finish", [worker, *retentions], finishing) + _batches("retry", [worker], retrying)


def _batches(
    script: str, common: list[Argument], items: Sequence[list[Argument]]
) -> list[tuple[str, list[Argument]]]:
    """Calls of a script for some items: at most `BATCH` each, and not too large."""
    calls: list[tuple[str, list[Argument]]] = []
    room, places = 0, 0
    for item in items:
        if room <= 0 or places <= 0:
            calls.append((script, [*common]))
            room, places = _LARGE, BATCH
        calls[-1][1].extend(item)
        room -= sum(len(argument) for argument in item if not isinstance(argument, int))
        places -= 1
    return calls


def _finish_arguments(settlement: Settlement, outcome: Finished | Failed | Ignored) -> list[Argument]:
    claim = settlement.claim
    status = {Finished: JobStatus.FINISHED, Failed: JobStatus.FAILED, Ignored: JobStatus.IGNORED}[
        type(outcome)
    ]
    error = outcome.error if isinstance(outcome, Failed) else None
    return [
        claim.job_id,
        claim.token,
        status,
        rq_result(outcome.result) if isinstance(outcome, Finished) else "",
        "" if error is None else _trace_of(error),
        "" if error is None else error_json(error),
        _started(claim),
        settlement.handler,
        settlement.max_attempts or "",
        claim.callback or "",
        _change(claim, status, claim.queue),
    ]


def _retry_arguments(settlement: Settlement, outcome: Retried | Released) -> list[Argument]:
    claim = settlement.claim
    error = outcome.error if isinstance(outcome, Retried) else None
    queue = outcome.queue if isinstance(outcome, Released) else None
    return [
        claim.job_id,
        claim.token,
        "released" if error is None else "retried",
        milliseconds(outcome.delay),
        "1" if isinstance(outcome, Retried) and outcome.counted else "0",
        queue or "",
        "" if error is None else _trace_of(error),
        "" if error is None else error_json(error),
        _started(claim),
        settlement.handler,
        _change(
            claim,
            JobStatus.SCHEDULED if milliseconds(outcome.delay) > 0 else JobStatus.QUEUED,
            queue or claim.queue,
        ),
    ]


def _trace_of(error: ErrorInfo) -> str:
    return rq_trace(error.trace or f"{error.type}: {error.message}")


def _change(claim: Claim, status: JobStatus, queue: str) -> str:
    return change(job_id=claim.job_id, event_id=claim.event_id, status=status, queue=queue,
                  source=claim.source, type=claim.type, tag=claim.tag)  # fmt: skip


def _called(replies: Sequence[list[bytes]]) -> bool:
    return any(b"called" in verdicts for verdicts in replies)


def _started(claim: Claim) -> str:
    return f"{claim.claimed_at.astimezone(UTC).timestamp():.3f}"


def _seconds(duration: timedelta) -> int:
    return round(duration.total_seconds())
