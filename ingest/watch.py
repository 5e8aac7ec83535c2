"""Waiting for jobs to end: one reader of the live stream a process, however many wait."""

import asyncio
import json
import logging
from collections import defaultdict
from contextlib import suppress
from typing import Any, Final, cast

from redis.asyncio import Redis
from redis.exceptions import RedisError

from infra.ledger import Reading, keys
from infra.ledger.records import TERMINAL_STATUSES, JobRecord
from infra.tasks import end

log = logging.getLogger(__name__)

_BLOCK_SECONDS: Final = 5
_SILENCE_SECONDS: Final = 10  # then the connection is taken for dead
_PAUSE_SECONDS: Final = 0.5


class Watch:
    """Tells when a job has ended. Reads only while somebody waits.

    The stream only says when to look again, and who waits looks now and then anyway: a reader that is cut off, or a
    change that it missed, costs time and never an answer.

    Args:
        client: whose answers may take as long as they like; closed by `stop`.
        look_every: in seconds, with or without a word from the stream.
    """

    def __init__(self, reading: Reading, client: Redis, *, look_every: float = 2.0) -> None:
        self._reading = reading
        self._client = client
        self._look_every = look_every
        self._waiting: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self._wanted = asyncio.Event()
        self._reader: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Have a reader ready, in the running loop."""
        self._reader = asyncio.create_task(self._read())

    async def stop(self) -> None:
        """End the reader."""
        await end(self._reader)
        await self._client.aclose()

    async def ended(self, job_id: str, *, seconds: float) -> JobRecord | None:
        """The job once it has ended, or as it stands when the time is over; None where there is none.

        Raises:
            LedgerError: it can't be read.
        """
        clock = asyncio.get_running_loop().time
        end = clock() + seconds
        changed = asyncio.Event()
        self._waiting[job_id].add(changed)
        self._wanted.set()
        try:
            while True:
                changed.clear()
                job = await self._reading.job(job_id)
                left = end - clock()
                if job is None or job.status in TERMINAL_STATUSES or left <= 0:
                    return job
                with suppress(TimeoutError):
                    async with asyncio.timeout(min(left, self._look_every)):
                        await changed.wait()
        finally:
            self._waiting[job_id].discard(changed)
            if not self._waiting[job_id]:
                del self._waiting[job_id]

    async def _read(self) -> None:
        """Whatever becomes of the connection, go on as long as somebody waits."""
        while True:
            await self._wanted.wait()
            try:
                await self._follow()
            except (RedisError, OSError) as error:
                log.debug("the live stream can't be read: %s", type(error).__name__)
                await asyncio.sleep(_PAUSE_SECONDS)
            if not self._waiting:
                self._wanted.clear()

    async def _follow(self) -> None:
        """Read the stream from its present end until nobody waits."""
        client = cast("Any", self._client)
        newest = await client.xrevrange(keys.LIVE, count=1)
        last = newest[0][0] if newest else b"0-0"
        self._tell_all()
        while self._waiting:
            async with asyncio.timeout(_SILENCE_SECONDS):
                reply = await client.xread({keys.LIVE: last}, block=_BLOCK_SECONDS * 1000)
            for _, entries in reply or []:
                for entry_id, fields in entries:
                    last = entry_id
                    self._tell(fields.get(b"changes", b""))

    def _tell(self, changes: bytes) -> None:
        """Wake whoever waits for one of these jobs."""
        try:
            jobs = [str(change["job_id"]) for change in json.loads(changes)]
        except (ValueError, TypeError, KeyError):
            self._tell_all()  # not ours; one look too many does no harm
            return
        for job_id in jobs:
            for changed in self._waiting.get(job_id, ()):
                changed.set()

    def _tell_all(self) -> None:
        """What was changed before this moment is seen by looking again."""
        for waiting in self._waiting.values():
            for changed in waiting:
                changed.set()
