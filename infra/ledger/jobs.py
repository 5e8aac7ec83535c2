"""Jobs on their way: claimed, settled, taken over, promoted, mended, retired."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain

from infra.clock import from_unix_milliseconds
from infra.durations import milliseconds
from infra.ledger.parsing import rq_time, text, whole
from infra.ledger.records import Claim, ErrorInfo, JobStatus, Progress, Settlement
from infra.ledger.scripts import BATCH, Argument, Call, Scripts
from infra.ledger.seal import Seal
from infra.ledger.settling import batches, settling, whole_seconds
from infra.ledger.wire import digest, error_json, meta_of, rq_trace, unsealed

log = logging.getLogger(__name__)

CRASH_CAP = 3  # a job that outlived this many workers' deaths is given up
LOG_LINES_KEPT = 200
PAGES = 50  # of a walk, a call
KEYS_SCANNED = 250  # a page, when indices are made anew

_CANCELED_AT_ONCE = 20  # each is looked for in all of its queue

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
class Patrol:
    """What a short look found: whether there is nothing to sweep, and how many workers live."""

    quiet: bool
    workers: int


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

    def dedicated(self) -> "Jobs":
        """The same over a connection of its own, one call at a time; to be closed."""
        return Jobs(
            self._scripts.dedicated(),
            self._seal,
            retention=self._retention,
            dead_retention=self._dead_retention,
        )

    async def aclose(self) -> None:
        """Close the connection, if it is its own."""
        await self._scripts.aclose()

    async def claim(
        self,
        worker: str,
        *,
        sequence: int,
        slots: int,
        queues: Sequence[str],
        lease: timedelta,
        limits: Sequence[Argument] = (),
    ) -> tuple[Claim, ...]:
        """Take jobs to run.

        Args:
            sequence: the claim's number; repeated with the same number, it gives the same jobs.
            slots: the most jobs to claim; at most `BATCH` are.
            limits: of the worker's handlers, as `limits_of` writes them.

        Raises:
            LedgerError: not confirmed; to be repeated as it is.
        """
        now, *items = await self._scripts.run(
            "claim",
            worker,
            sequence,
            min(slots, BATCH),
            milliseconds(lease),
            len(queues),
            *queues,
            *limits,
        )
        claims = []
        claimed_at = from_unix_milliseconds(int(now))
        for item in items:
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
        return tuple(claims)

    async def settle(self, worker: str, settlements: Sequence[Settlement]) -> bool:
        """Record what became of some jobs. Returns whether a callback waits to be sent.

        Raises:
            LedgerError: not confirmed; to be repeated as it is.
        """
        return _called(await self._scripts.run_all(self._settling(worker, settlements)))

    async def report(self, reports: Sequence[Report]) -> set[str]:
        """Keep progress and log lines of running jobs: the last `LOG_LINES_KEPT` of each job.

        Returns:
            The ids of those that are not held any more: they were canceled, or run elsewhere.

        Raises:
            LedgerError: not confirmed; repeated, the lines of a report may be kept twice.
        """
        items: list[list[str]] = []
        for said in reports:
            meta = "" if said.progress is None else meta_of(said.progress)
            lines = said.lines[-LOG_LINES_KEPT:]
            items.append([said.claim.job_id, said.claim.token, meta, str(len(lines)), *lines])
        replies = await self._scripts.run_all(batches("report", [LOG_LINES_KEPT], items))
        verdicts = chain.from_iterable(replies)
        return {
            said.claim.job_id for said, verdict in zip(reports, verdicts, strict=True) if verdict == b"fenced"
        }

    async def cancel(self, job_id: str, *, by: str = "") -> JobStatus | None:
        """End a job that has not ended: at once, whatever state it is in; its callback says so. Who runs it is told.

        Args:
            by: who wants it, for the job's timeline; empty: nobody to be named.

        Returns:
            The status that it now has: `CANCELED`, or what it had ended as before; None where there is no such job.

        Raises:
            LedgerError: not confirmed; to be repeated.
        """
        (status,) = await self.cancel_all([job_id], by=by)
        return status

    async def cancel_all(self, job_ids: Sequence[str], *, by: str = "") -> list[JobStatus | None]:
        """The same of many, one after the other. Raises and returns as `cancel` does, for each."""
        found: list[JobStatus | None] = []
        for first in range(0, len(job_ids), _CANCELED_AT_ONCE):
            some = job_ids[first : first + _CANCELED_AT_ONCE]
            replies = await self._scripts.run("cancel", by, *some)
            found += [JobStatus(text(status)) if status else None for status in replies]
        return found

    async def take_over(self) -> Takeover:
        """Give back the jobs of workers whose lease ran out, a bounded number a call.

        Raises:
            LedgerError: not confirmed.
        """
        reply = await self._scripts.run(
            "take_over", BATCH, CRASH_CAP, error_json(_WORKER_LOST), error_json(_CRASHED_OUT), rq_trace(_CRASHED_OUT.message),
            whole_seconds(self._dead_retention),
        )  # fmt: skip
        return Takeover(reply[0], reply[1], bool(reply[2]))

    async def promote(self, queues: Sequence[str]) -> tuple[int, timedelta | None]:
        """Queue what is due. Returns how many, and how long until the next, if any waits.

        Raises:
            LedgerError: not confirmed.
        """
        count, wait = await self._scripts.run("promote", BATCH, *queues)
        return count, None if wait < 0 else timedelta(milliseconds=wait)

    async def patrol(self) -> Patrol:
        """Whether there is anything to sweep or to retire at all.

        Raises:
            LedgerError: not confirmed.
        """
        quiet, workers = await self._scripts.run(
            "patrol", milliseconds(min(self._retention, self._dead_retention))
        )
        return Patrol(bool(quiet), workers)

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
                "rebuild", KEYS_SCANNED, whole_seconds(self._retention), whole_seconds(self._dead_retention)
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

    def _settling(self, worker: str, settlements: Sequence[Settlement]) -> list[Call]:
        return settling(worker, settlements, keep=self._retention, keep_dead=self._dead_retention)

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
            callback_options=story.callback_options,
            progress_url=story.progress_url,
        )


def _called(replies: Sequence[list[bytes]]) -> bool:
    return any(b"called" in verdicts for verdicts in replies)
