"""One watcher, and what it has still to be told."""

import asyncio
from collections.abc import Callable
from enum import Enum
from typing import Final

from infra.ledger.live import About
from ingest.live.messages import Message

MOST_WAITING: Final = 10_000  # messages; as many as it could be told when it comes back
GRACE_SECONDS: Final = 1.0


class Sign(Enum):
    """What a watcher is told besides messages."""

    BEAT = "nothing has happened for a while"
    GAP = "changes were missed"


class End(Enum):
    """Why a watcher is told no more."""

    SLOW = "it does not read what it is told"
    STOPPING = "the process stops"
    GONE = "it went away"


class Filter:
    """What of all changes a watcher wants: those of one source, type, queue or tag, or of several of these.

    >>> Filter(source="acme").takes(About(source="acme", type="paid")), Filter(tag="a").takes(About(source="acme"))
    (True, False)
    """

    def __init__(self, **wanted: str) -> None:
        self._wanted = list(wanted.items())

    def takes(self, about: About) -> bool:
        """Whether a change of such a job is wanted."""
        return not self._wanted or all(getattr(about, name) == value for name, value in self._wanted)


class Watcher:
    """A bounded queue between the hub, which never waits, and one connection, which may.

    Args:
        hang_up: breaks the connection off; for one that does not take the end of its stream either.

    Attributes:
        push: tells what waits without waking who waits for it, and returns whether that is all; None: nothing can.
    """

    def __init__(
        self, takes: Filter, *, hang_up: Callable[[], object] = lambda: None, most: int = MOST_WAITING
    ) -> None:
        self.takes = takes.takes
        self.ended: End | None = None
        self._hang_up = hang_up
        self._most = most
        self.push: Callable[[list[Message | Sign]], bool] | None = None
        self._waiting: list[Message | Sign] = []
        self._asleep: asyncio.Future[None] | None = (
            None  # a bare one: an Event costs each watcher five times as much
        )

    def put(self, message: Message | Sign) -> None:
        """Have something to tell it, once it is woken. One that has not taken what came before is given up."""
        if self.ended is not None or (message is Sign.BEAT and self._waiting):
            return
        self._waiting.append(message)
        if len(self._waiting) > self._most:
            self._waiting.clear()
            self.end(End.SLOW)

    def wake(self) -> None:
        """Tell it."""
        if self._asleep is None or self._asleep.done():
            return
        if self.push is not None and self.ended is None and self.push(self._waiting):
            self._waiting.clear()
        else:
            self._asleep.set_result(None)

    def end(self, why: End) -> None:
        """Tell it no more than what it waits for; a second later its connection is broken off, if it is still there."""
        if self.ended is None:
            self.ended = why
            self.wake()
            asyncio.get_running_loop().call_later(GRACE_SECONDS, self._hang_up)

    async def next(self) -> list[Message | Sign]:
        """What it is to be told now; empty at the end."""
        while not self._waiting and self.ended is None:
            self._asleep = asyncio.get_running_loop().create_future()
            await self._asleep
        told, self._waiting = self._waiting, []
        return told
