"""Bulk replays: many jobs run again, a page at a time, by whichever worker has a moment; it survives all of them.

What is to be run again is chosen once, when the bulk replay is made, and kept as its plan: what a dry run counts is what runs.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

import msgspec
from redis.asyncio import Redis

from infra.durations import milliseconds
from infra.ids import JOB, REPLAY, new_suffix, suffix_after
from infra.ledger import keys
from infra.ledger.bulk import BulkReplay, ReplayPage, Terms, bulk_replay
from infra.ledger.kept import mapping
from infra.ledger.parsing import text
from infra.ledger.records import TERMINAL_STATUSES, JobRecord, JobStatus
from infra.ledger.seal import Seal
from infra.ledger.selections import Selection, Selections
from infra.ledger.steering import Origin, replay_arguments, retry_arguments
from infra.ledger.wire import plain, unsealed

LEASE: Final = timedelta(seconds=30)  # for one page


class Replays(Selections):
    """Makes bulk replays and carries them out. Everything here raises `LedgerError` as `Reading` does; it may be repeated.

    Args:
        retention: how long one that has ended is kept.
    """

    def __init__(self, redis: Redis, seal: Seal, *, retention: timedelta) -> None:
        super().__init__(redis, seal)
        self._retention = retention

    async def start(self, selection: Selection, terms: Terms, *, by: str, asked: Mapping[str, Any]) -> str:
        """Have them run again. Returns the bulk replay's id.

        Args:
            by: who wants it.
            asked: the filter, as it is to be shown.
        """
        replay_id, _ = await self.start_once("", selection, terms, by=by, asked=asked)
        return replay_id

    async def start_once(
        self, kind: str, selection: Selection, terms: Terms, *, by: str, asked: Mapping[str, Any]
    ) -> tuple[str, bool]:
        """Likewise, unless one of this kind runs. Returns the id of the one that runs now, and whether that is this one.

        Args:
            kind: what no two are to do at once; empty: as many as are wanted.
        """
        replay_id = REPLAY + new_suffix()
        record: list[str | bytes | int] = [
            "by", by, "filter", msgspec.json.encode(asked), "complete", int(selection.complete), "queue", terms.queue,
            "rate", terms.rate, "share", str(terms.share), "least", terms.least,
        ]  # fmt: skip
        ids = [job.id for job in selection.jobs]
        runs = text(await self._scripts.run("plan", replay_id, kind, len(record), *record, *ids))
        return runs, runs == replay_id

    async def replay(self, replay_id: str) -> BulkReplay | None:
        """One as it stands; None where there is none, or none any more."""
        (flat,) = await self._fetch([("HGETALL", keys.REPLAY + plain(replay_id))])
        return bulk_replay(replay_id, mapping(flat)) if flat else None

    async def newest(self, limit: int) -> list[BulkReplay]:
        """The newest first."""
        (members,) = await self._fetch([("ZREVRANGE", keys.REPLAYS, "0", str(limit - 1))])
        found = [await self.replay(text(member)) for member in members or []]
        return [replay for replay in found if replay is not None]

    async def halt(self, replay_id: str, *, by: str) -> bool:
        """Stop one that runs. Returns whether it ran until now."""
        return bool(await self._scripts.run("halt", replay_id, by))

    async def proceed(self, worker: str, *, sequence: int) -> ReplayPage | timedelta | None:
        """Take the next page of a bulk replay that is due, to `run` it; if the worker dies, another takes it again.

        Args:
            sequence: counts the calls of this worker, so that each has a token of its own.

        Returns:
            The page; or how long until there may be one; None where nothing runs.
        """
        token = f"{worker}-{sequence}"
        wait, *found = await self._scripts.run(
            "proceed", token, milliseconds(LEASE), milliseconds(self._retention)
        )
        if not found:
            return None if wait < 0 else timedelta(milliseconds=wait)
        replay_id, by, queue, rate, *jobs = map(text, found)
        return ReplayPage(id=replay_id, token=token, by=by, queue=queue, rate=int(rate), jobs=tuple(jobs))

    async def run(self, page: ReplayPage) -> int:
        """Have the jobs of a page run again, each once: failed ones are retried, others that have ended replayed.

        Returns:
            How many it has begun: not those that run again already; none where the bulk replay is held by another worker.
        """
        found = await self.jobs_of(page.jobs, lean=True)
        items: list[str | bytes | int] = []
        ended = [job for job in found if job is not None and job.status in TERMINAL_STATUSES]
        for job, origin in zip(ended, await self._origins(ended), strict=True):
            if job.status is JobStatus.FAILED:
                items += retry_arguments(job, queue=page.queue)
            elif origin is not None:
                job_id = JOB + suffix_after(page.id, seed=job.event_id)  # an event is replayed once
                items += replay_arguments(origin, job_id, seal=self._seal, queue=page.queue, entry=None)
        pause = round(len(page.jobs) * 1000 / page.rate)
        by = f"{page.by} ({page.id})"
        verdicts = await self._scripts.run("again", by, page.id, page.token, len(page.jobs), pause, *items)
        return sum(verdict == b"done" for verdict in verdicts)

    async def _origins(self, jobs: Sequence[JobRecord]) -> list[Origin | None]:
        told = await self._fetch(
            [("HMGET", keys.EVENT + job.event_id, "head", f"job:{job.id}") for job in jobs]
        )
        found: list[Origin | None] = []
        for job, (head, birth) in zip(jobs, (one or (None, None) for one in told), strict=True):
            story = unsealed(self._seal, job.id, job.event_id, head, birth)
            found.append(None if story is None or head is None else Origin(job.event_id, head, story))
        return found
