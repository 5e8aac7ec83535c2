"""One reader of the live stream a process, however many watch."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

from infra.ledger import LedgerError, Live
from infra.ledger.live import About, Change, Page, Position
from infra.ledger.records import JobStatus
from infra.tasks import end
from ingest.live.history import History
from ingest.live.messages import Message, of_change
from ingest.live.watcher import End, Sign, Watcher
from ingest.problems import WATCHED_BY_MANY, Problem

log = logging.getLogger(__name__)

BEAT_SECONDS: Final = 15.0
MOST_WATCHERS: Final = 5_000  # they hold connections, and webhooks need some too

_BLOCK_SECONDS: Final = 5
_SILENCE_SECONDS: Final = 10  # then the connection is taken for dead
_PAUSE_SECONDS: Final = 0.5
_JOBS_KNOWN: Final = 20_000
_WOKEN_AT_ONCE: Final = 50


class Hub:
    """Hands every change to those who watch. Reads only while somebody does, and waits for nobody.

    Who begins to watch waits until the hub is `ready`: from then on it gets every change behind the hub's place. Where changes
    were missed, because Redis was away for longer than the stream reaches back, all are told so.

    Args:
        client: whose answers may take as long as they like; closed by `stop`.
        beat: every so many seconds, who was told nothing gets a sign of life.
        most: so many watchers are taken.
    """

    def __init__(
        self, live: Live, client: Redis, *, beat: float = BEAT_SECONDS, most: int = MOST_WATCHERS
    ) -> None:
        self._live = live
        self._client = client
        self._beat = beat
        self._most = most
        self._watchers = 0
        self._of_job: defaultdict[str, set[Watcher]] = defaultdict(set)
        self._of_all: set[Watcher] = set()
        self._bells: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self._history: History | None = None  # None: not reading
        self._about: dict[str, About] = {}
        self._wanted, self._ready = asyncio.Event(), asyncio.Event()
        self._loading = asyncio.Lock()
        self._tasks: list[asyncio.Task[None]] = []
        self.stopping = False

    def start(self) -> None:
        """Have a reader ready, in the running loop."""
        self._tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._give_signs())]

    def dismiss(self) -> None:
        """The process is about to stop: nobody watches or waits any more. Safe to call again."""
        self.stopping = True
        for watcher in self._everybody():
            watcher.end(End.STOPPING)
        self._ring(self._bells)

    async def stop(self) -> None:
        """End the reader."""
        self.dismiss()
        await end(*self._tasks)
        await self._client.aclose()

    # -- those who watch -------------------------------------------------------------------------------------------

    @contextmanager
    def watching(self, watcher: Watcher, job_id: str | None = None) -> Iterator[Watcher]:
        """Tell it of one job, or of all that it takes.

        Raises:
            Problem: 503 where too many watch already.
        """
        if self._watchers >= self._most:
            raise Problem(WATCHED_BY_MANY)
        self._watchers += 1
        watchers = self._of_all if job_id is None else self._of_job[job_id]
        watchers.add(watcher)
        self._wanted.set()
        if self.stopping:
            watcher.end(End.STOPPING)
        try:
            yield watcher
        finally:
            self._watchers -= 1
            watchers.discard(watcher)
            if job_id is not None and not watchers:
                self._of_job.pop(job_id, None)

    @contextmanager
    def listening(self, job_id: str) -> Iterator[asyncio.Event]:
        """An event that is set whenever it is worth a look where a job stands."""
        bell = asyncio.Event()
        self._bells[job_id].add(bell)
        self._wanted.set()
        try:
            yield bell
        finally:
            self._bells[job_id].discard(bell)
            if not self._bells[job_id]:
                del self._bells[job_id]

    async def ready(self) -> None:
        """Return once changes are read.

        Raises:
            LedgerError: Redis does not answer.
        """
        try:
            async with asyncio.timeout(_BLOCK_SECONDS):
                await self._ready.wait()
        except TimeoutError:
            raise LedgerError("the live stream can't be read") from None

    async def between(self, after: Position, upto: Position) -> list[Change] | None:
        """What changed behind one place, up to another; None where some of it is not kept any more.

        Those who come back together, after a deploy, share one look at the stream.

        Raises:
            LedgerError: Redis does not answer.
        """
        if after > upto:
            return None
        async with self._loading:
            history = self._history
            if history is None:
                return await self._live.between(after, upto)
            while after < (begin := history.begin):
                older = await self._live.between(after, begin)
                if older is None:
                    return None
                if history.begin == begin:  # else it has moved on meanwhile
                    history.prepend(older, after)
            found = history.behind(after)
            if found is None:
                return await self._live.between(after, upto)
            newer = await self._live.between(max(after, history.end), upto)
        return None if newer is None else [change for change in found if change.position <= upto] + newer

    async def messages(self, changes: Sequence[Change], watcher: Watcher) -> list[Message]:
        """Those of some changes that a watcher takes.

        Raises:
            LedgerError: Redis does not answer.
        """
        known = await self._learn({change.job_id for change in changes if change.about is None})
        told = [(change, change.about or known[change.job_id]) for change in changes]
        return [of_change(change, about) for change, about in told if watcher.takes(about)]

    # -- the reader ------------------------------------------------------------------------------------------------

    @property
    def _anybody(self) -> bool:
        return bool(self._of_job or self._of_all or self._bells)

    def _everybody(self) -> list[Watcher]:
        return [*self._of_all, *(watcher for watchers in self._of_job.values() for watcher in watchers)]

    async def _read(self) -> None:
        """Whatever becomes of the connection, go on as long as somebody watches."""
        while True:
            await self._wanted.wait()
            try:
                await self._follow()
            except (RedisError, OSError, LedgerError) as error:  # a TimeoutError is an OSError
                log.debug("the live stream can't be read: %s", type(error).__name__)
                await asyncio.sleep(_PAUSE_SECONDS)

    async def _follow(self) -> None:
        if self._history is None:
            self._begin(await self._live.end())
        while self._anybody and (history := self._history) is not None:
            async with asyncio.timeout(_SILENCE_SECONDS):
                page = await self._live.follow(self._client, history.end, seconds=_BLOCK_SECONDS)
            if page is None:
                self._begin(await self._live.end())
                self._tell_everybody(Sign.GAP)
            else:
                self._publish(page, await self._abouts(page.changes))
        self._history = None
        self._about.clear()
        self._ready.clear()
        self._wanted.clear()

    def _begin(self, place: Position) -> None:
        """What was changed before is seen by looking again."""
        self._history = History(place)
        self._ready.set()
        self._ring(self._bells)

    async def _abouts(self, changes: Sequence[Change]) -> dict[str, About]:
        """What is known of the jobs whose changes don't tell it; only of those that somebody watches."""
        known: dict[str, About] = {}
        while missing := {
            change.job_id
            for change in changes
            if change.about is None and change.job_id not in known and self._is_wanted(change)
        }:
            known |= await self._learn(missing)
        return known

    async def _learn(self, job_ids: Collection[str]) -> dict[str, About]:
        known = {job_id: self._about[job_id] for job_id in job_ids if job_id in self._about}
        missing = [job_id for job_id in job_ids if job_id not in known]
        found = await self._live.about(missing) if missing else {}
        for job_id in missing:
            known[job_id] = found.get(job_id, About())
            self._remember(job_id, known[job_id])
        return known

    def _remember(self, job_id: str, about: About) -> None:
        self._about[job_id] = about
        if len(self._about) > _JOBS_KNOWN:
            del self._about[next(iter(self._about))]

    def _publish(self, page: Page, known: Mapping[str, About]) -> None:
        """No step of this waits: who begins to watch meanwhile does so before it, or behind it."""
        if self._history is not None:
            self._history.append(page)
        told: dict[Watcher, None] = {}
        for change in page.changes:
            if isinstance(change.what, JobStatus):
                self._ring([change.job_id])
            if not self._is_wanted(change):
                continue
            if change.about is not None:
                self._remember(change.job_id, change.about)
            about = change.about or known[change.job_id]
            watchers = [*self._of_job.get(change.job_id, ()), *self._of_all]
            if takers := [watcher for watcher in watchers if watcher.takes(about)]:
                message = of_change(change, about)
                for watcher in takers:
                    watcher.put(message)
                told |= dict.fromkeys(takers)
        self._wake(list(told))

    def _wake(self, watchers: list[Watcher], first: int = 0) -> None:
        """Some in each turn of the loop: what they write leaves at the turn's end, not when all thousand have written."""
        for watcher in watchers[first : first + _WOKEN_AT_ONCE]:
            watcher.wake()
        if first + _WOKEN_AT_ONCE < len(watchers):
            asyncio.get_running_loop().call_soon(self._wake, watchers, first + _WOKEN_AT_ONCE)

    def _is_wanted(self, change: Change) -> bool:
        return bool(self._of_all) or change.job_id in self._of_job

    def _ring(self, job_ids: Iterable[str]) -> None:
        for job_id in job_ids:
            for bell in self._bells.get(job_id, ()):
                bell.set()

    def _tell_everybody(self, sign: Sign) -> None:
        watchers = self._everybody()
        for watcher in watchers:
            watcher.put(sign)
        self._wake(watchers)

    async def _give_signs(self) -> None:
        while True:
            await asyncio.sleep(self._beat)
            self._tell_everybody(Sign.BEAT)
