"""Jobs on their way: claimed, settled, taken over, promoted, mended."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from infra.clock import from_unix_milliseconds
from infra.durations import milliseconds
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
from infra.ledger.scripts import Argument, Scripts
from infra.ledger.seal import Seal
from infra.ledger.wire import change, dumps, error_json, meta_of, rq_result, rq_time, rq_trace, unsealed

log = logging.getLogger(__name__)

BATCH = 100  # a script of a hundred jobs keeps Redis for about two milliseconds
CRASH_CAP = 3  # a job that outlived this many workers' deaths is given up
LOG_LINES_KEPT = 200

_WORKER_LOST = ErrorInfo(type="WorkerLost", message="the worker died, or was silent for longer than its lease, during this attempt")
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

    def __init__(self, scripts: Scripts, seal: Seal, *, retention: timedelta, dead_retention: timedelta) -> None:
        self._scripts = scripts
        self._seal = seal
        self._retention = round(retention.total_seconds())
        self._dead_retention = round(dead_retention.total_seconds())

    async def turn(
        self, worker: str, settlements: Sequence[Settlement], *, sequence: int, slots: int, queues: Sequence[str], lease: timedelta
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
                job_id, token = item[0].decode("utf-8", "replace"), item[2]
                log.error("a record was changed behind our back and is quarantined", extra={"job": job_id})
                await self._scripts.run("quarantine", worker, item[0], token, "its seal does not hold: the record was changed")
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
        """Keep progress and log lines of running jobs."""
        arguments: list[Argument] = [LOG_LINES_KEPT]
        for said in reports:
            meta = "" if said.progress is None else meta_of(said.progress)
            arguments += [said.claim.job_id, said.claim.token, meta, dumps(said.lines) if said.lines else ""]
        await self._scripts.run("report", *arguments)

    async def take_over(self) -> Takeover:
        """Give back the jobs of workers whose lease ran out, a bounded number a call."""
        reply = await self._scripts.run(
            "take_over", BATCH, CRASH_CAP, error_json(_WORKER_LOST), error_json(_CRASHED_OUT), rq_trace(_CRASHED_OUT.message), self._dead_retention
        )  # fmt: skip
        return Takeover(reply[0], reply[1], bool(reply[2]))

    async def promote(self, queues: Sequence[str]) -> tuple[int, timedelta | None]:
        """Queue what is due. Returns how many, and how long until the next, if any waits."""
        count, wait = await self._scripts.run("promote", BATCH, *queues)
        return count, None if wait < 0 else timedelta(milliseconds=wait)

    async def sweep(self, *, patience: timedelta) -> int:
        """Walk once over all open jobs and mend what stands nowhere. Returns how many were mended."""
        mended = 0
        for _ in range(1_000_000 // BATCH):
            _, in_page, ended = await self._scripts.run("sweep", BATCH, milliseconds(patience))
            mended += in_page
            if ended:
                break
        return mended

    def _claim(self, item: Sequence[bytes], claimed_at: datetime) -> Claim | None:
        job, event, token, queue, attempt, crashes, created_at, head, body, birth = item
        try:
            job_id, event_id = job.decode("ascii"), event.decode("ascii")
            known = unsealed(self._seal, job_id, event_id, head, body, birth)
        except UnicodeDecodeError:
            return None
        if known is None:
            return None
        told, _ = known
        return Claim(
            job_id=job_id,
            event_id=event_id,
            token=token.decode(),
            queue=queue.decode(),
            attempt=int(attempt),
            crashes=int(crashes) if crashes.isdigit() else 0,
            claimed_at=claimed_at,
            created_at=rq_time(created_at) or claimed_at,
            source=told["source"],
            type=told["type"],
            received_at=from_unix_milliseconds(told["at"]),
            headers=told["headers"],
            content_type=told["content_type"],
            body=body,
            metadata=told["metadata"],
            tag=told["tag"],
            provider_event_id=told["provider_event_id"],
        )

    def _settling(self, worker: str, settlements: Sequence[Settlement]) -> list[tuple[str, list[Argument]]]:
        finishing: list[Argument] = []
        retrying: list[Argument] = []
        for settlement in settlements:
            outcome = settlement.outcome
            if isinstance(outcome, Finished | Failed | Ignored):
                finishing += _finish_arguments(settlement, outcome)
            else:
                retrying += _retry_arguments(settlement, outcome)
        calls: list[tuple[str, list[Argument]]] = []
        if finishing:
            calls.append(("finish", [worker, self._retention, self._dead_retention, *finishing]))
        if retrying:
            calls.append(("retry", [worker, *retrying]))
        return calls


def _finish_arguments(settlement: Settlement, outcome: Finished | Failed | Ignored) -> list[Argument]:
    claim = settlement.claim
    status = {Finished: JobStatus.FINISHED, Failed: JobStatus.FAILED, Ignored: JobStatus.IGNORED}[type(outcome)]
    error = outcome.error if isinstance(outcome, Failed) else None
    return [
        claim.job_id,
        claim.token,
        status,
        rq_result(outcome.result) if isinstance(outcome, Finished) else "",
        "" if error is None else rq_trace(error.trace or f"{error.type}: {error.message}"),
        "" if error is None else error_json(error),
        _started(claim),
        settlement.handler,
        settlement.max_attempts or "",
        _change(claim, status, claim.queue),
    ]


def _retry_arguments(settlement: Settlement, outcome: Retried | Released) -> list[Argument]:
    claim = settlement.claim
    retried = isinstance(outcome, Retried)
    queue = outcome.queue if isinstance(outcome, Released) else None
    return [
        claim.job_id,
        claim.token,
        "retried" if retried else "released",
        milliseconds(outcome.delay),
        "1" if isinstance(outcome, Retried) and outcome.counted else "0",
        queue or "",
        rq_trace(outcome.error.trace or f"{outcome.error.type}: {outcome.error.message}") if isinstance(outcome, Retried) else "",
        error_json(outcome.error) if isinstance(outcome, Retried) else "",
        _started(claim),
        settlement.handler,
        _change(claim, JobStatus.SCHEDULED if outcome.delay else JobStatus.QUEUED, queue or claim.queue),
    ]


def _change(claim: Claim, status: JobStatus, queue: str) -> str:
    return change(job_id=claim.job_id, event_id=claim.event_id, status=status, queue=queue,
                  source=claim.source, type=claim.type, tag=claim.tag)  # fmt: skip


def _called(replies: Sequence[list[bytes]]) -> bool:
    return any(b"called" in verdicts for verdicts in replies)


def _started(claim: Claim) -> str:
    return f"{claim.claimed_at.astimezone(UTC).timestamp():.3f}"
