"""``hookline events erase``: remove all that is known of an event, or of somebody's events, before its time."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final

import click

from infra.archive.eraser import Eraser
from infra.archive.parts import Lost
from infra.bounds import short_id
from infra.cli.dev_state import environment_here
from infra.cli.looking import BY, NotFound, look
from infra.cli.tables import counted
from infra.ids import EVENT, is_id
from infra.ledger import Ledger
from infra.ledger.erasing import Subject
from infra.settings import Settings

_WHOSE: Final = "an ID, or --tag, or --source and --key"
_PATIENCE: Final = timedelta(minutes=3)  # a little longer than whoever archives may be silent


@click.command(name="erase")
@click.argument("event_id", metavar="ID", required=False)
@click.option("--tag", help="Instead of an ID: all events with this tag.")
@click.option("--source", help="Of them, those of this source.")
@click.option("--key", metavar="TEXT", help="Of a source: what its provider calls the event.")
@click.option("--dry-run", is_flag=True, help="Only name them.")
def erase_events(event_id: str | None, dry_run: bool, **words: str | None) -> None:
    """Remove all that is kept of an event, here and in the archive; of it stays that its id was erased."""
    if event_id is None:
        ids, lost = look(lambda ledger: _of_subject(ledger, _subject(words), dry_run=dry_run))
    elif dry_run or any(words.values()):
        raise click.UsageError(f"{_WHOSE}; --dry-run is for the latter two")
    else:
        ids, lost = look(lambda ledger: _one(ledger, event_id))
    for one in sorted(ids):
        click.echo(one)
    click.echo(f"{counted(len(ids), 'event')} {'would be erased' if dry_run else 'erased'}", err=True)
    for damaged in lost:
        click.echo(f"may hold a copy: {damaged.why}", err=True)
    if lost:
        raise click.exceptions.Exit(1)
    if event_id is not None and not ids:
        raise NotFound(f"no event {event_id}")


async def _one(ledger: Ledger, event_id: str) -> tuple[set[str], list[Lost]]:
    if not is_id(event_id, EVENT):
        raise NotFound(f"no event {event_id}")
    async with _erasing(ledger) as eraser:
        return await eraser.erase({event_id})


async def _of_subject(ledger: Ledger, subject: Subject, *, dry_run: bool) -> tuple[set[str], list[Lost]]:
    async with _erasing(ledger) as eraser:
        ids, lost = await eraser.find(subject)
        if dry_run:
            return ids, lost
        erased, not_read = await eraser.erase(ids)
        return erased, [*lost, *not_read]


def _subject(words: dict[str, str | None]) -> Subject:
    try:
        key = words.pop("key")
        return Subject(**words, key=None if key is None else short_id(key))
    except ValueError:
        raise click.UsageError(_WHOSE) from None


@asynccontextmanager
async def _erasing(ledger: Ledger) -> AsyncIterator[Eraser]:
    """What erases, while nobody archives."""
    from infra.cli.stores import archive_of, file_store

    settings = Settings.load(environment_here())
    eraser = Eraser(ledger, archive=archive_of(settings), files=file_store(settings), by=BY)
    if not await eraser.hold(patience=_PATIENCE):
        raise click.ClickException("somebody else archives or erases; try again in a few minutes")
    try:
        yield eraser
    finally:
        await eraser.leave()
