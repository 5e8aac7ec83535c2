"""Waiting for jobs to end: one reader of the live stream a process, however many wait."""

import asyncio
import json
import logging
from collections import defaultdict
from collections.abc import Callable
from typing import Any, Final, cast

from redis.asyncio import Redis
from redis.exceptions import RedisError

from infra.ledger import Reading, keys
from infra.ledger.records import TERMINAL_STATUSES, JobRecord

log = logging.getLogger(__name__)

_BLOCK_MILLISECONDS: Final = 5_000
_PAUSE_SECONDS: Final = 0.5
_LOOK_SECONDS: Final = 1.0


class Watch:
    """Tells when a job has ended. Reads only while somebody waits.

    Args:
        connect: makes a client whose answers may take as long as they like.
    """

    def __init__(self, reading: Reading, connect: Callable[[], Redis]) -> None:
        self._reading = reading
        self._connect = connect
        self._waiting: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self._reader: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()

    async def ended(self, job_id: str, *, seconds: float) -> JobRecord | None:
        """The job once it has ended, or as it stands when the time is over; None where there is none.

        Raises:
            LedgerError: it can't be read.
        """
        changed = asyncio.Event()
        self._waiting[job_id].add(changed)
        try:
            async with asyncio.timeout(seconds):
                await self._keep_reading()
                while True:
                    changed.clear()
                    job = await self._reading.job(job_id)
                    if job is None or job.status in TERMINAL_STATUSES:
                        return job
                    await self._look_again(changed)
        except TimeoutError:
            return await self._reading.job(job_id)
        finally:
            self._waiting[job_id].discard(changed)
            if not self._waiting[job_id]:
                del self._waiting[job_id]

    async def stop(self) -> None:
        """End the reader."""
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)

    @staticmethod
    async def _look_again(changed: asyncio.Event) -> None:
        """At the next change of the job; at the latest in a while, for the reader can be cut off."""
        waiting = asyncio.ensure_future(changed.wait())
        try:
            await asyncio.wait([waiting], timeout=_LOOK_SECONDS)
        finally:
            waiting.cancel()

    async def _keep_reading(self) -> None:
        """See that the reader runs, and stands at the end of the stream: no change from here on is missed."""
        if self._reader is None or self._reader.done():
            self._ready.clear()
            self._reader = asyncio.create_task(self._read())
        await self._ready.wait()

    async def _read(self) -> None:
        last: bytes | None = None
        async with self._connect() as client:
            while self._waiting:
                try:
                    if last is None:
                        newest = await cast("Any", client).xrevrange(keys.LIVE, count=1)
                        last = newest[0][0] if newest else b"0-0"
                        self._ready.set()
                    reply = await cast("Any", client).xread({keys.LIVE: last}, block=_BLOCK_MILLISECONDS)
                except (RedisError, OSError) as error:
                    log.debug("the live stream can't be read: %s", type(error).__name__)
                    await asyncio.sleep(_PAUSE_SECONDS)
                    continue
                for _, entries in reply or []:
                    for entry_id, fields in entries:
                        last = entry_id
                        self._tell(fields.get(b"changes", b"[]"))

    def _tell(self, changes: bytes) -> None:
        for change in json.loads(changes):
            for changed in self._waiting.get(change.get("job_id"), ()):
                changed.set()
