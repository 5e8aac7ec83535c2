"""What the commands that look into the ledger share.

HooklineError
└── NotFound    there is no such job or event
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

import click

from infra.cli.dev_state import environment_here
from infra.errors import HooklineError
from infra.filters import FilterError, read_filter
from infra.ledger import Ledger
from infra.ledger.lists import Filter, Place
from infra.ledger.records import CallbackStatus, HandlerEntry, JobStatus
from infra.settings import Settings

BY = "command line"  # how timelines name whoever sits here

_T = TypeVar("_T")
_Command = TypeVar("_Command", bound=Callable[..., Any])


class NotFound(HooklineError):
    """There is no such record, or none that the secret key vouches for."""


def look(read: Callable[[Ledger], Awaitable[_T]]) -> _T:
    """What `read` finds in the ledger that the settings name.

    Raises:
        SettingsError: they name none.
        LedgerError: Redis does not answer.
    """
    from infra.cli.connections import ledger_of

    settings = Settings.load(environment_here())

    async def reading() -> _T:
        async with ledger_of(settings) as ledger:
            return await read(ledger)

    return asyncio.run(reading())


async def live_entries(ledger: Ledger) -> list[HandlerEntry]:
    """What live workers handle."""
    return [entry for manifest in (await ledger.workers.manifests()).values() for entry in manifest]


def narrowing(statuses: Iterable[JobStatus | CallbackStatus]) -> Callable[[_Command], _Command]:
    """The options that narrow the API's lists."""
    return _with([
        click.option("--status", type=click.Choice([status.value for status in statuses]), help="Only these."),
        click.option("--source", help="Only of this source."),
        click.option("--type", metavar="TEXT", help="Only of this event type."),
        click.option("--queue", help="Only of this queue."),
        click.option("--tag", help="Only with this tag."),
        click.option("--since", metavar="TIME", help="Not older: a time, or how long ago, such as 2h."),
        click.option("--until", metavar="TIME", help="Older."),
    ])  # fmt: skip


def listing(statuses: type[JobStatus] | type[CallbackStatus]) -> Callable[[_Command], _Command]:
    """The options of a command that lists: those of `narrowing`, how much of it, and ``--json``."""
    return _with([
        narrowing(statuses),
        click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 1000), help="At most so many."),
        click.option("--cursor", callback=_place, help="Go on behind an earlier list."),
        click.option("--json", "as_json", is_flag=True, help="One JSON document."),
    ])  # fmt: skip


def _with(options: Sequence[Callable[[_Command], _Command]]) -> Callable[[_Command], _Command]:
    def with_options(command: _Command) -> _Command:
        for option in reversed(options):
            command = option(command)
        return command

    return with_options


def wanted(statuses: type[JobStatus] | type[CallbackStatus], **words: str | None) -> Filter:
    """What the options of `narrowing` ask for.

    Raises:
        UsageError: one of them can't be understood.
    """
    given = {name: word for name, word in words.items() if word is not None}
    try:
        return read_filter(given, statuses, now=datetime.now(UTC))
    except FilterError as error:
        raise click.UsageError(str(error)) from None


def _place(_: click.Context, __: click.Parameter, cursor: str | None) -> Place | None:
    place = None if cursor is None else Place.read(cursor)
    if cursor is not None and place is None:
        raise click.BadParameter("is none of ours")
    return place
