"""A stand-in for Make's custom webhooks: a queue that answers ``Accepted``, and the scenario that takes from it later.

Source: https://help.make.com/webhooks (answers, queue, rate, size; 410 for a hook that no scenario listens to).
"""

from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from queue import Empty, Full, Queue
from typing import Final

from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from infra.clock import Clock, SystemClock

_INTERVAL: Final = timedelta(seconds=10)
_LARGEST: Final = 5 << 20


@dataclass(frozen=True, slots=True)
class Bundle:
    """What a scenario gets, with *Get request headers* and *JSON pass-through* switched on: names in lower case, the body as it came."""

    hook: str
    headers: Mapping[str, str]
    body: bytes


class MakeStandIn:
    """The server, as an ASGI app: every address under it is a hook. What it answers says nothing of what the scenario makes of it.

    Args:
        scenario: given each bundle, after the answer.
        queue: bundles that wait for the scenario, at the most.
        rate: requests that are taken within ten seconds.
        running: whether the scenario is; else bundles wait until it is to `work`.
    """

    def __init__(
        self,
        scenario: Callable[[Bundle], object],
        *,
        queue: int = 667,
        rate: int = 300,
        running: bool = True,
        clock: Clock | None = None,
    ) -> None:
        self.answers: list[str] = []
        self.gone = False  # whether no scenario listens any more
        self._scenario = scenario
        self._rate = rate
        self._running = running
        self._clock = clock or SystemClock()
        self._waiting: Queue[Bundle] = Queue(queue)
        self._taken: deque[datetime] = deque()
        self.app = Starlette(routes=[Route("/{hook}", self._take, methods=["POST"])])

    def work(self) -> None:
        """From here on the scenario runs; it takes what waits."""
        self._running = True
        with suppress(Empty):
            while True:
                self._scenario(self._waiting.get_nowait())

    async def _take(self, request: Request) -> Response:
        bundle = Bundle(request.path_params["hook"], dict(request.headers), await request.body())
        status, words = self._answer(bundle)
        self.answers.append(f"{status} {words}")
        return PlainTextResponse(
            words, status, background=BackgroundTask(self.work) if self._running else None
        )

    def _answer(self, bundle: Bundle) -> tuple[int, str]:
        now = self._clock.now()
        while self._taken and now - self._taken[0] >= _INTERVAL:
            self._taken.popleft()
        if len(self._taken) >= self._rate:
            return 429, "Too many requests."
        self._taken.append(now)
        if self.gone:
            return 410, "There is no scenario listening for this webhook."
        if len(bundle.body) > _LARGEST:
            return 413, "Payload too large."
        try:
            self._waiting.put_nowait(bundle)
        except Full:
            return 400, "Queue is full."
        return 200, "Accepted"
