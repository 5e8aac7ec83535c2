"""``hookline archive``: read what was archived, check it, run it again."""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import click

from infra.archive import Archived, Lost, Manifest, merged
from infra.archive.lines import document_of, line_of
from infra.cli.dev_state import environment_here
from infra.cli.looking import BY, NotFound, live_entries, look
from infra.cli.tables import counted, print_json, print_table
from infra.edited import new_event
from infra.ledger import Ledger
from infra.routes import entry_for
from infra.settings import Settings, SettingsError
from infra.submission import SubmissionError, read_queue

if TYPE_CHECKING:
    from infra.archive.archive import Archive

_T = TypeVar("_T")
_DAY = click.DateTime(["%Y-%m-%d"])
_SINCE = click.option(
    "--since", type=_DAY, metavar="DAY", help="Of events that were received on this day or later."
)
_UNTIL = click.option(
    "--until", type=_DAY, metavar="DAY", help="Of events that were received before this day."
)


@click.group(name="archive")
def command() -> None:
    """Read what was archived, check it, run it again."""


@command.command(name="list")
@_SINCE
@_UNTIL
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def list_parts(since: datetime | None, until: datetime | None, as_json: bool) -> None:
    """The parts of the archive, by the day on which their events were received."""

    async def read(archive: "Archive") -> tuple[list[Manifest], list[Lost]]:
        sound, lost = [], []
        async for found in manifests(archive, since, until):
            if isinstance(found, Manifest):
                sound.append(found)
            else:
                lost.append(found)
        return sound, lost

    sound, lost = with_archive(read)
    if as_json:
        print_json(
            {"items": [_part_view(manifest) for manifest in sound], "lost": [_lost_view(one) for one in lost]}
        )
    else:
        print_table(
            ("part", "written", "events", "jobs", "bytes"),
            [
                (one.part, one.written_at, f"{len(one.events):,}", f"{one.jobs:,}", f"{one.size:,}")
                for one in sound
            ],
        )
        _tell_of(lost)
    if lost:
        raise click.exceptions.Exit(1)


@command.command(name="read")
@_SINCE
@_UNTIL
@click.option("--source", help="Only of this source.")
@click.option("--type", "type_", metavar="TEXT", help="Only of this event type.")
@click.option("--tag", help="Only with this tag.")
def read_events(
    since: datetime | None, until: datetime | None, source: str | None, type_: str | None, tag: str | None
) -> None:
    """The events of the archive as JSON lines, each once, on standard output."""

    def is_wanted(event: Archived) -> bool:
        told = event.event
        if told is None:
            return source is None and type_ is None and tag is None
        return source in (None, told.source) and type_ in (None, told.type) and tag in (None, told.tag)

    async def write(archive: "Archive") -> list[Lost]:
        lost: list[Lost] = []
        for day in await days(archive, since, until):
            read = await archive.read(day)
            lost += read.lost
            for event in merged(read.events).values():
                if is_wanted(event):
                    sys.stdout.write(line_of(event).decode() + "\n")
        return lost

    if lost := with_archive(write):
        _tell_of(lost)
        raise click.exceptions.Exit(1)


@command.command(name="replay")
@click.argument("event_ids", metavar="ID...", nargs=-1, required=True)
@click.option("--queue", help="Where their jobs go.")
def replay_archived(event_ids: tuple[str, ...], queue: str | None) -> None:
    """Make new events of archived ones, each of which names the old one."""
    try:
        read_queue(queue)
    except SubmissionError as error:
        raise click.UsageError(f"--queue: {error.words}") from None
    archive = opened(Settings.load(environment_here()))

    async def replay(ledger: Ledger) -> None:
        entries = await live_entries(ledger)
        for event_id in event_ids:
            vouched = ledger.archiving.vouched((await archive.event(event_id)).dossier)
            if vouched is None:
                raise NotFound(
                    f"no key of HOOKLINE_SECRET_KEY has sealed {event_id}: put the one of that time behind the present one"
                )
            event, origin = vouched
            arrival = new_event(
                event,
                origin,
                event.body,
                content_type=event.content_type,
                entry=entry_for(entries, event.source, event.type),
                queue=queue,
                now=datetime.now(UTC),
                accepted_by=BY,
            )
            await ledger.events.accept([arrival])
            click.echo(f"{arrival.event_id} {arrival.job_id} queued, of {event_id}")

    look(replay)


@command.command(name="show")
@click.argument("event_id", metavar="ID")
def show_archived(event_id: str) -> None:
    """One archived event, with all that is known of it, as one JSON document."""

    async def read(archive: "Archive") -> Archived:
        return await archive.event(event_id)

    print_json(document_of(with_archive(read)))


@command.command(name="verify")
@_SINCE
@_UNTIL
def verify_parts(since: datetime | None, until: datetime | None) -> None:
    """Read every part, and say whether each is as it was written."""

    async def verify(archive: "Archive") -> tuple[int, int, list[Lost]]:
        sound, events, lost = 0, 0, []
        for day in await days(archive, since, until):
            read = await archive.read(day)
            sound += read.parts
            events += len(merged(read.events))
            lost += read.lost
            for place in await archive.uncommitted(day):
                click.echo(f"does not count: {place}; who wrote it died, and its events came again", err=True)
        return sound, events, lost

    sound, events, lost = with_archive(verify)
    click.echo(f"{counted(sound, 'part')} sound, {counted(events, 'event')}")
    if lost:
        _tell_of(lost)
        raise click.exceptions.Exit(1)


def opened(settings: Settings) -> "Archive":
    """The archive that the settings name.

    Raises:
        SettingsError: they name none.
    """
    from infra.cli.stores import archive_of

    archive = archive_of(settings)
    if archive is None:
        raise SettingsError("HOOKLINE_ARCHIVE: needed, the same as the workers'")
    return archive


def with_archive(read: "Callable[[Archive], Awaitable[_T]]") -> _T:
    """What `read` finds in the archive; needs no Redis."""
    archive = opened(Settings.load(environment_here()))

    async def reading() -> _T:
        return await read(archive)

    return asyncio.run(reading())


async def days(archive: "Archive", since: datetime | None, until: datetime | None) -> list[date]:
    """The days that are asked for, of those that there are."""
    return [
        day
        for day in await archive.days()
        if (since is None or day >= since.date()) and (until is None or day < until.date())
    ]


async def manifests(
    archive: "Archive", since: datetime | None, until: datetime | None
) -> AsyncIterator[Manifest | Lost]:
    """Those of the parts of these days."""
    for day in await days(archive, since, until):
        async for found in archive.manifests(day):
            yield found


def _part_view(manifest: Manifest) -> dict[str, Any]:
    return {
        "part": manifest.part,
        "day": manifest.day,
        "written_at": manifest.written_at,
        "events": len(manifest.events),
        "jobs": manifest.jobs,
        "size": manifest.size,
        "sha256": manifest.sha256,
    }


def _lost_view(lost: Lost) -> dict[str, str]:
    return {"place": lost.place, "why": lost.why}


def _tell_of(lost: list[Lost]) -> None:
    for one in lost:
        click.echo(f"damaged: {one.why}", err=True)
