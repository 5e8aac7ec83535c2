"""Callbacks that wait in this process, each in the lane of its receiver, so that none waits behind another's receiver.

What waits here is leased from the ledger for a while. Whatever can't begin in time, or has to make room, is let go: it goes
back to the ledger, falls due again later, here or in another worker, and no attempt has been counted.
"""

from collections import deque
from dataclasses import dataclass, field
from math import inf

from infra.ledger.records import DueCallback
from worker.callbacks.receivers import STILL_SECONDS, Receiver, Receivers


@dataclass(slots=True)
class _Lane:
    receiver: Receiver
    slow: bool = False
    waiting: deque[tuple[float, DueCallback]] = field(default_factory=deque)


class Lanes:
    """Gives out what may begin.

    Attributes:
        hurried: after `begin`, how many wait only for those just before them.
        soonest: after `begin`, seconds until it should be called again though no callback has ended; infinite: never.
        let_go: what waits here no more and was not begun; who gives it back empties the list.
    """

    def __init__(self, receivers: Receivers) -> None:
        self._receivers = receivers
        self._lanes: dict[str, _Lane] = {}
        self._count = 0
        self.hurried = 0
        self.soonest = inf
        self.let_go: list[DueCallback] = []

    def __len__(self) -> int:
        """How many wait."""
        return self._count

    def put(self, due: DueCallback, *, until: float) -> None:
        """Let one wait.

        Args:
            until: the moment from which it must not begin any more.
        """
        receiver = Receiver.of(due.url)
        lane = self._lanes.get(receiver.url)
        if lane is None:
            lane = self._lanes[receiver.url] = _Lane(receiver)
        lane.waiting.append((until, due))
        self._count += 1

    def begin(self, now: float, *, most: int) -> list[tuple[Receiver, DueCallback]]:
        """Those that may begin now, at most so many, each counted as begun. The lanes take turns."""
        begun: list[tuple[Receiver, DueCallback]] = []
        self.hurried, self.soonest = 0, inf
        for key, lane in list(self._lanes.items()):
            before = len(begun)
            wait = self._serve(lane, now, begun, most)
            if not lane.waiting:
                del self._lanes[key]
                continue
            lane.slow = wait > 0 and self._receivers.slow(lane.receiver, now)
            if not lane.slow:
                self.hurried += len(lane.waiting)
                wait = STILL_SECONDS  # to see whether it still moves
            self.soonest = min(self.soonest, wait)
            if len(begun) > before:
                self._lanes[key] = self._lanes.pop(key)  # the last next time
        return begun

    def trim(self, most: int) -> None:
        """Make room: while more wait than that, the longest lane of those that are slow lets its newest go."""
        while self._count > most:
            slow = [lane for lane in self._lanes.values() if lane.slow and lane.waiting]
            if not slow:
                return
            longest = max(slow, key=lambda lane: len(lane.waiting))
            self.let_go.append(longest.waiting.pop()[1])
            self._count -= 1

    def clear(self, *, slow_only: bool = False) -> None:
        """Let all go, or keep what may soon begin."""
        for key, lane in list(self._lanes.items()):
            if lane.slow or not slow_only:
                self.let_go += [due for _, due in lane.waiting]
                self._count -= len(lane.waiting)
                del self._lanes[key]

    def _serve(self, lane: _Lane, now: float, begun: list[tuple[Receiver, DueCallback]], most: int) -> float:
        """Begin what may. Returns how long the next of the lane has to wait."""
        while lane.waiting:
            until, due = lane.waiting[0]
            if now < until:
                wait = self._receivers.wait(lane.receiver, now)
                if wait > 0 or len(begun) >= most:
                    return wait
                self._receivers.begin(lane.receiver, now)
                begun.append((lane.receiver, due))
            else:
                self.let_go.append(due)
            lane.waiting.popleft()
            self._count -= 1
        return 0.0
