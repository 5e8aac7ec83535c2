"""``hookline events``: look at events."""

import json
from datetime import datetime

import click

from infra.cli.looking import NotFound, look, newest
from infra.cli.tables import counted, json_text, print_facts, print_json, print_table, printable, relative
from infra.ledger import Ledger
from infra.ledger.records import EventRecord, JobRecord

_SHOWN = 4096  # characters of a body


@click.group(name="events")
def command() -> None:
    """Look at events."""


@command.command(name="list")
@click.option("--source", help="Only of this source.")
@click.option("--type", "type_", metavar="TEXT", help="Only of this type.")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 1000), help="At most so many.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def list_events(source: str | None, type_: str | None, limit: int, as_json: bool) -> None:
    """The newest events, newest first."""
    from ingest.views import event_view

    async def read(ledger: Ledger) -> tuple[list[EventRecord], datetime]:
        events = await newest(
            lambda number: ledger.reading.events(source=source, type=type_, limit=number),
            lambda event: source in (None, event.source),
            limit,
        )
        return events, await ledger.reading.now()

    events, now = look(read)
    if as_json:
        print_json({"items": [event_view(event) for event in events]})
    elif events:
        columns = ("event", "source", "type", "received", "bytes", "jobs", "duplicates")
        print_table(columns, (_row(event, now) for event in events))
    else:
        click.echo("no events")


@command.command(name="show")
@click.argument("event_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def show_event(event_id: str, as_json: bool) -> None:
    """One event: where it came from, its headers and body, the jobs made of it."""
    from ingest.views import event_view

    async def read(ledger: Ledger) -> tuple[EventRecord | None, list[JobRecord], datetime]:
        event = await ledger.reading.event(event_id)
        jobs = await ledger.reading.jobs_of([(job_id, event_id) for job_id in event.jobs] if event else [])
        return event, [job for job in jobs if job is not None], await ledger.reading.now()

    event, jobs, now = look(read)
    if event is None:
        raise NotFound(f"no event {event_id}")
    if as_json:
        print_json(event_view(event))
    else:
        _print_event(event, jobs, now)


def _row(event: EventRecord, now: datetime) -> tuple[str, ...]:
    return (
        event.id,
        event.source,
        event.type,
        relative(event.received_at, now),
        f"{len(event.body):,}",
        str(len(event.jobs)),
        _duplicates(event) or "0",
    )


def _print_event(event: EventRecord, jobs: list[JobRecord], now: datetime) -> None:
    print_facts(
        [
            ("event", event.id),
            ("source", event.source),
            ("type", event.type),
            ("received", relative(event.received_at, now)),
            ("provider's id", event.provider_event_id),
            ("taken by key", event.accepted_by),
            ("tag", event.tag),
            ("duplicates", _duplicates(event)),
            ("metadata", json_text(dict(event.metadata)) if event.metadata else None),
        ]
    )
    if jobs:
        click.echo()
        print_table(
            ("job", "status", "created"),
            [(job.id, job.status, relative(job.created_at, now)) for job in jobs],
        )
    if event.headers:
        click.echo()
        print_facts(sorted(event.headers.items()))
    click.echo(f"\n{_body(event.body)}")


def _duplicates(event: EventRecord) -> str | None:
    """How often it came again.

    >>> from types import SimpleNamespace
    >>> _duplicates(SimpleNamespace(duplicates=3, differing_duplicates=1))
    '3, 1 with another body'
    """
    if not event.duplicates:
        return None
    differing = f", {event.differing_duplicates} with another body" if event.differing_duplicates else ""
    return f"{event.duplicates}{differing}"


def _body(body: bytes) -> str:
    """The beginning of a body for people: JSON laid out, anything else as text."""
    text = body.decode("utf-8", "replace")
    try:
        text = json_text(json.loads(text))
    except (ValueError, RecursionError):
        text = printable(text)
    if len(text) <= _SHOWN:
        return text
    return f"{text[:_SHOWN]}\n… and {counted(len(text) - _SHOWN, 'character')} more; --json shows all"
