"""The ledger's Lua scripts, run by their digest; a server that does not know one is told its text.

Each script is the table of key names, then ``_common.lua``, then its own file, whose head says what it takes, what it
replies, and why it is one script.
"""

from collections.abc import Sequence
from hashlib import sha1
from importlib.resources import files
from typing import Any, Final, cast

from redis.asyncio import Redis
from redis.exceptions import NoScriptError, RedisError, ResponseError

from infra.errors import HooklineError
from infra.ledger.keys import lua_table

BATCH: Final = 100  # items a script: it keeps Redis for some two milliseconds

Argument = str | bytes | int
Call = tuple[str, Sequence[Argument]]  # a script's name and its arguments


class LedgerError(HooklineError):
    """Redis did not confirm: nothing is promised about what was asked."""


def _load() -> dict[str, str]:
    folder = files("infra.ledger") / "scripts"
    common = lua_table() + (folder / "_common.lua").read_text("utf-8")
    names = sorted(
        entry.name for entry in folder.iterdir() if entry.name.endswith(".lua") and entry.name[0] != "_"
    )
    return {name.removesuffix(".lua"): common + (folder / name).read_text("utf-8") for name in names}


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
            raise LedgerError(f"Redis did not confirm: {type(error).__name__}") from error
        for reply in replies:
            if isinstance(reply, Exception):
                raise LedgerError(f"Redis did not confirm: {reply}") from reply
        return replies

    async def _send(self, calls: Sequence[Call], *, by_digest: bool) -> list[Any]:
        """The replies, errors among them. A server that was told a script's text knows its digest from then on."""
        if not calls:
            return []
        commands = [
            ("EVALSHA", _DIGESTS[name], 0, *map(_encoded, arguments))
            if by_digest
            else ("EVAL", _TEXTS[name], 0, *map(_encoded, arguments))
            for name, arguments in calls
        ]
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


def _encoded(argument: Argument) -> bytes | int:
    return argument.encode("utf-8", "backslashreplace") if isinstance(argument, str) else argument
