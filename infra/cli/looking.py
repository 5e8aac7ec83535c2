"""What the commands that look into the ledger share.

HooklineError
└── NotFound    there is no such job or event
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from infra.cli.dev_state import environment_here
from infra.errors import HooklineError
from infra.ledger import Ledger
from infra.settings import Settings

_SEARCHED = 10_000  # records; a list that is narrowed looks no further back

_T = TypeVar("_T")


class NotFound(HooklineError):
    """There is no such record, or none that the secret key vouches for."""


async def newest(
    read: Callable[[int], Awaitable[Sequence[_T]]], fits: Callable[[_T], bool], limit: int
) -> list[_T]:
    """The newest records that fit, looked for further and further back.

    Args:
        read: gives so many of the newest.
        limit: at most so many.

    >>> async def read(number: int) -> list[int]:
    ...     return [*range(5000, 0, -1)][:number]
    >>> asyncio.run(newest(read, lambda record: record % 1000 == 0, 3))
    [5000, 4000, 3000]
    """
    window = limit
    while True:
        found = [record for record in await read(window) if fits(record)][:limit]
        if len(found) == limit or window >= _SEARCHED:
            return found
        window = min(window * 10, _SEARCHED)


def look(read: Callable[[Ledger], Awaitable[_T]]) -> _T:
    """What `read` finds in the ledger that the settings name.

    Raises:
        SettingsError: they name none.
        LedgerError: Redis does not answer.
    """
    from infra.cli.assembly import ledger_of

    settings = Settings.load(environment_here())

    async def reading() -> _T:
        async with ledger_of(settings) as ledger:
            return await read(ledger)

    return asyncio.run(reading())
