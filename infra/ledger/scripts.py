"""The ledger's Lua scripts, run by their digest; a server that does not know one is told its text.

Each script is ``_common.lua``, then what its first line says that it stands behind, then its own file, whose head says what it takes,
what it replies, and why it is one script; ``K.job`` in them is a key's name.
"""

import re
from collections.abc import Sequence
from hashlib import sha1
from importlib.resources import files
from typing import Any, Final, cast

from redis.asyncio import Redis
from redis.exceptions import NoScriptError, RedisError, ResponseError

from infra.errors import HooklineError
from infra.ledger.keys import named
from infra.redis_client import leads_out
from infra.redis_line import Line
from infra.redis_troubles import in_words

BATCH: Final = 100  # items a script: it keeps Redis for some two milliseconds

_FSYNC_MILLISECONDS: Final = 2000  # that one round trip waits for it
_BEHIND: Final = re.compile(r"-- Behind (_\w+\.lua)\.")

Argument = str | bytes | int
Call = tuple[str, Sequence[Argument]]  # a script's name and its arguments


class LedgerError(HooklineError):
    """Redis did not confirm: nothing is promised about what was asked."""


def _load() -> dict[str, str]:
    folder = files("infra.ledger") / "scripts"
    texts = {
        entry.name: named(entry.read_text("utf-8"))
        for entry in folder.iterdir()
        if entry.name.endswith(".lua")
    }

    def whole(text: str) -> str:
        behind = _BEHIND.match(text)
        return texts["_common.lua"] + (texts[behind[1]] if behind else "") + text

    return {name.removesuffix(".lua"): whole(text) for name, text in sorted(texts.items()) if name[0] != "_"}


_TEXTS: Final = _load()
_DIGESTS: Final = {
    name: sha1(text.encode(), usedforsecurity=False).hexdigest() for name, text in _TEXTS.items()
}


class Scripts:
    """Runs scripts over one client. Safe to repeat: every script may be run twice with the same arguments.

    Text goes out as UTF-8; a lone surrogate, which has no UTF-8, as its escape.
    """

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    def dedicated(self, *, fsynced: bool = False) -> "Scripts":
        """The same over a connection of its own, which is to be closed. A Redis in this process has none to give.

        Args:
            fsynced: a script counts as confirmed when the disk has what it wrote.
        """
        if not leads_out(self._redis):
            return self
        return FsyncedScripts(self._redis) if fsynced else DedicatedScripts(self._redis)

    async def aclose(self) -> None:
        """Close what is its own; a client that others use too is not."""

    async def run(self, name: str, *arguments: Argument) -> Any:
        """Run one script.

        Raises:
            LedgerError: Redis did not confirm, for whatever reason.
        """
        return (await self.run_all([(name, arguments)]))[0]

    async def run_all(self, calls: Sequence[Call]) -> list[Any]:
        """Run several in one round trip, in order.

        Raises:
            LedgerError: one of them was not confirmed; the others may have been.
        """
        if not calls:
            return []
        try:
            replies = await self._send(calls, by_digest=True)
            missing = [place for place, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
            again = await self._send([calls[place] for place in missing], by_digest=False)
            for place, reply in zip(missing, again, strict=True):
                replies[place] = reply
        except (RedisError, OSError) as error:
            raise LedgerError(f"Redis did not confirm: {in_words(error)}") from error
        for reply in replies:
            if isinstance(reply, Exception):
                raise LedgerError(f"Redis did not confirm: {in_words(reply)}") from reply
        return replies

    async def _send(self, calls: Sequence[Call], *, by_digest: bool) -> list[Any]:
        """The replies, errors among them. A server that was told a script's text knows its digest from then on."""
        if not calls:
            return []
        commands = [
            ("EVALSHA", _DIGESTS[name], 0, *arguments) if by_digest else ("EVAL", _TEXTS[name], 0, *arguments)
            for name, arguments in calls
        ]
        try:
            return await self._replies(commands)
        except UnicodeEncodeError:
            # Raised before anything was sent, and so rare that a look at each argument would be too dear.
            return await self._replies([tuple(map(_escaped, command)) for command in commands])

    async def _replies(self, commands: Sequence[Sequence[Argument]]) -> list[Any]:
        client = cast("Any", self._redis)
        if len(commands) == 1:
            try:
                return [await client.execute_command(*commands[0])]
            except ResponseError as error:
                return [error]
        async with client.pipeline(transaction=False) as pipeline:
            for command in commands:
                pipeline.execute_command(*command)
            replies: list[Any] = await pipeline.execute(raise_on_error=False)
            return replies


class DedicatedScripts(Scripts):
    """Runs scripts over a line of its own, one call at a time, for a third of what a pool costs.

    Args:
        patience: for one round trip, in seconds.
    """

    def __init__(self, redis: Redis, *, patience: float = 5.0) -> None:
        super().__init__(redis)
        self._patience = patience
        self._line = Line(redis)

    async def aclose(self) -> None:
        await self._line.aclose()

    async def _replies(self, commands: Sequence[Sequence[Argument]]) -> list[Any]:
        return await self._line.ask(commands, within=self._patience)


class FsyncedScripts(DedicatedScripts):
    """The same; replies count once the server's disk has everything that was written up to them.

    ``WAITAOF`` waits for the last write of its connection, and what others wrote before that. So a script that finds its
    work done already has to write something too, as `accept` does by counting a duplicate.
    """

    async def _replies(self, commands: Sequence[Sequence[Argument]]) -> list[Any]:
        *replies, fsynced = await super()._replies([*commands, ("WAITAOF", 1, 0, _FSYNC_MILLISECONDS)])
        if isinstance(fsynced, Exception):
            raise LedgerError(f"Redis did not confirm the fsync: {fsynced}") from fsynced
        if fsynced[0] < 1:
            raise LedgerError("Redis did not fsync in time")
        return replies


def _escaped(argument: Argument) -> bytes | int:
    return argument.encode("utf-8", "backslashreplace") if isinstance(argument, str) else argument
