"""How a worker waits: for jobs in its queues, and for what falls due sooner than it thinks.

`BlockingPeek` costs a command or two a minute while nothing happens; fakeredis can't block, so `Polling` looks often.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import aclosing, suppress
from typing import Any, Protocol, cast

from redis.asyncio import Redis
from redis.exceptions import RedisError

from infra.ledger import keys
from infra.redis_line import Line

log = logging.getLogger(__name__)

_PEEK_SECONDS = 120
_LATE_SECONDS = 10.0  # a reply that takes so much longer never comes
_PAUSE_SECONDS = 1.0


class Wakeup(Protocol):
    """Tells when a queue has jobs."""

    def arm(self, queues: Collection[str]) -> None:
        """Look once more for jobs in these queues: they were empty a moment ago."""

    async def run(self, notice: Callable[[], None]) -> None:
        """Call `notice` whenever an armed look finds jobs, for as long as the task lives."""


class BlockingPeek:
    """``BLMOVE q q LEFT LEFT``: waits until the queue has a head, and leaves it where it is.

    Args:
        connect: makes a client whose answers may take as long as they like.
    """

    def __init__(self, connect: Callable[[], Redis], queues: Sequence[str]) -> None:
        self._connect = connect
        self._armed = {queue: asyncio.Event() for queue in queues}

    def arm(self, queues: Collection[str]) -> None:
        for queue in queues:
            self._armed[queue].set()

    async def run(self, notice: Callable[[], None]) -> None:
        async with asyncio.TaskGroup() as group:
            for queue in self._armed:
                group.create_task(self._watch(queue, notice))

    async def _watch(self, queue: str, notice: Callable[[], None]) -> None:
        async with self._connect() as client, aclosing(Line(client)) as line:
            while True:
                await self._armed[queue].wait()
                if await _has_head(line, keys.QUEUE + queue):
                    self._armed[queue].clear()
                    notice()


async def _has_head(line: Line, key: str) -> bool:
    """Wait for the list to have one. Where Redis is away it seems to, after a pause: the claim that follows says what is wrong."""
    try:
        (head,) = await line.ask(
            [("BLMOVE", key, key, "LEFT", "LEFT", _PEEK_SECONDS)], within=_PEEK_SECONDS + _LATE_SECONDS
        )
    except (RedisError, OSError) as error:  # TimeoutError among them
        head = error
    if isinstance(head, Exception):
        await asyncio.sleep(_PAUSE_SECONDS)
    return head is not None


class Polling:
    """Looks at the length of the queues, fifty times a second."""

    def __init__(self, client: Redis, queues: Sequence[str]) -> None:
        self._client = client
        self._queues: Collection[str] = queues
        self._armed = asyncio.Event()

    def arm(self, queues: Collection[str]) -> None:
        self._queues = queues
        self._armed.set()

    async def run(self, notice: Callable[[], None]) -> None:
        while True:
            await self._armed.wait()
            if any([await cast("Any", self._client).exists(keys.QUEUE + queue) for queue in self._queues]):
                self._armed.clear()
                notice()
            else:
                await asyncio.sleep(0.02)


async def tell(client: Redis, message: str) -> None:
    """Say something to all workers. Whether anybody hears it does not matter: a lost message costs lateness only."""
    with suppress(RedisError, OSError):
        await cast("Any", client).publish(keys.WAKE, message)


async def listen(
    connect: Callable[[], Redis],
    channels: Mapping[str, Callable[[bytes], None]],
    *,
    again: Callable[[], None],
) -> None:
    """Pass on what is published, for as long as the task lives.

    Args:
        channels: what to call with each message of a channel.
        again: called whenever it listens from now on: what was said before is lost.
    """
    while True:
        try:
            async with connect() as client, client.pubsub() as pubsub:
                await pubsub.subscribe(*channels)
                again()
                async for message in pubsub.listen():
                    if message["type"] == "message":
                        channels[message["channel"].decode()](message["data"])
        except (RedisError, OSError) as error:
            log.debug("the channels are down: %s", type(error).__name__)
        await asyncio.sleep(_PAUSE_SECONDS)
