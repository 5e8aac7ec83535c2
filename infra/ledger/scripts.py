"""The ledger's Lua scripts: loaded once, run by their digest.

Each script is the table of key names, then ``_common.lua``, then its own file, whose head says what it takes, what it
replies, and why it is one script.
"""

from collections.abc import Sequence
from hashlib import sha1
from importlib.resources import files
from typing import Any, Final, cast

from redis.asyncio import Redis
from redis.exceptions import NoScriptError, RedisError

from infra.errors import HooklineError
from infra.ledger.keys import lua_table

Argument = str | bytes | int


class LedgerError(HooklineError):
    """Redis did not confirm: nothing is promised about what was asked."""


def _load() -> dict[str, str]:
    folder = files("infra.ledger") / "scripts"
    common = lua_table() + (folder / "_common.lua").read_text("utf-8")
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".lua") and entry.name[0] != "_")
    return {name.removesuffix(".lua"): common + (folder / name).read_text("utf-8") for name in names}


_TEXTS: Final = _load()
_DIGESTS: Final = {name: sha1(text.encode(), usedforsecurity=False).hexdigest() for name, text in _TEXTS.items()}


class Scripts:
    """Runs scripts over one client. Safe to repeat: every script may be run twice with the same arguments."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def run(self, name: str, *arguments: Argument) -> Any:
        """Run one script.

        Raises:
            LedgerError: Redis did not confirm, for whatever reason.
        """
        return (await self.run_all([(name, arguments)]))[0]

    async def run_all(self, calls: Sequence[tuple[str, Sequence[Argument]]]) -> list[Any]:
        """Run several in one round trip, in order.

        Raises:
            LedgerError: one of them was not confirmed; the others may have been.
        """
        if not calls:
            return []
        try:
            replies = await self._send(calls)
            if any(isinstance(reply, NoScriptError) for reply in replies):
                for text in _TEXTS.values():
                    await self._redis.script_load(text)
                replies = await self._send(calls)
        except (RedisError, OSError) as error:
            raise LedgerError(f"Redis did not confirm: {type(error).__name__}") from error
        for reply in replies:
            if isinstance(reply, Exception):
                raise LedgerError(f"Redis did not confirm: {reply}") from reply
        return replies

    async def _send(self, calls: Sequence[tuple[str, Sequence[Argument]]]) -> list[Any]:
        if len(calls) == 1:
            name, arguments = calls[0]
            try:
                return [await cast(Any, self._redis.evalsha(_DIGESTS[name], 0, *arguments))]
            except NoScriptError as missing:
                return [missing]
        async with self._redis.pipeline(transaction=False) as pipeline:
            for name, arguments in calls:
                pipeline.evalsha(_DIGESTS[name], 0, *arguments)
            return await pipeline.execute(raise_on_error=False)
