"""``hookline events``: look at events, run them again, take them along as signed files, erase them."""

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from infra.cli.again import replay_event
from infra.cli.dev_state import environment_here
from infra.cli.erase import erase_events
from infra.cli.looking import NotFound, listing, look, wanted
from infra.cli.tables import counted, json_text, print_facts, print_json, print_table, printable, relative
from infra.exports import Exports
from infra.ledger import Ledger
from infra.ledger.histories import History
from infra.ledger.lists import ListedEvent, Page, Place, gather
from infra.ledger.records import EventSummary, JobStatus
from infra.settings import Settings, SettingsError
from infra.signatures import callback_keys_of

if TYPE_CHECKING:
    from ingest.sources import Source

_SHOWN = 4096  # characters of a body


@click.group(name="events")
def command() -> None:
    """Look at events; replay them, export them, erase them."""


command.add_command(erase_events)
command.add_command(replay_event)


@command.command(name="list")
@listing(JobStatus)
def list_events(limit: int, cursor: Place | None, as_json: bool, **words: str | None) -> None:
    """The newest events, newest first."""
    from ingest.views import listed_event_view, page_view

    filter_ = wanted(JobStatus, **words)

    async def read(ledger: Ledger) -> tuple[Page[ListedEvent], datetime]:
        return await gather(ledger.lists.events, filter_, limit, cursor), await ledger.reading.now()

    page, now = look(read)
    if as_json:
        print_json(page_view(page, listed_event_view))
    elif page.items:
        columns = ("event", "status", "source", "type", "received", "bytes", "jobs", "duplicates")
        print_table(columns, (_row(event, now) for event in page.items))
    else:
        click.echo("no events")


@command.command(name="show")
@click.argument("event_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="One JSON document, as GET /events/{id} answers.")
def show_event(event_id: str, as_json: bool) -> None:
    """One event: where it came from, its headers and body, and what became of it."""
    from ingest.timeline import timeline
    from ingest.views import event_view

    async def read(ledger: Ledger) -> tuple[History | None, datetime]:
        return await ledger.histories.history(event_id), await ledger.reading.now()

    history, now = look(read)
    if history is None:
        raise NotFound(f"no event {event_id}")
    entries = timeline(history, _source_of(history))
    view = event_view(history.event) | {"timeline": entries}
    if as_json:
        print_json(view)
    else:
        _print_event(history, view, now)


@command.command(name="export")
@click.argument("event_id", metavar="ID")
@click.option("--body/--no-body", default=True, show_default=True, help="With the event's body, or without.")
def export_event(event_id: str, body: bool) -> None:
    """One event, its jobs and its timeline as one signed JSON document, on standard output."""
    from ingest.exported import exported

    history = look(lambda ledger: ledger.histories.history(event_id))
    if history is None:
        raise NotFound(f"no event {event_id}")
    document = exported(history, _source_of(history), with_body=body, now=datetime.now(UTC))
    print_json(_exports().sign(document))


@command.command(name="verify")
@click.argument("file", type=click.File("rb"))
def verify_export(file: BinaryIO) -> None:
    """Say whether an export is as it was signed, by one of the keys that are set. Needs no Redis."""
    try:
        signed = json.load(file)
    except (ValueError, RecursionError):
        raise click.ClickException("this is no JSON") from None
    document = _exports().verify(signed)
    click.echo(f"sound: {document['event']['id']}, exported {document['exported_at']}")


def _exports() -> Exports:
    settings = Settings.load(environment_here())
    if not settings.secret_keys:
        raise SettingsError("HOOKLINE_SECRET_KEY: needed, the same as web's and worker's")
    return Exports(settings.secret_keys, callback_keys_of(settings))


def _source_of(history: History) -> "Source | None":
    """The event's source as it is set up here."""
    from ingest.sources import load_sources

    environ = environment_here()
    return load_sources(Settings.load(environ), environ).get(history.event.source)


def _row(event: ListedEvent, now: datetime) -> tuple[str, ...]:
    return (
        event.id,
        event.status,
        event.source,
        event.type,
        relative(event.received_at, now),
        f"{event.size:,}",
        str(len(event.jobs)),
        _duplicates(event) or "0",
    )


def _print_event(history: History, view: dict[str, Any], now: datetime) -> None:
    event = history.event
    print_facts(
        [
            ("event", event.id),
            ("source", event.source),
            ("type", event.type),
            ("received", relative(event.received_at, now)),
            ("provider's id", event.provider_event_id),
            ("taken by key", event.accepted_by),
            ("replay of", event.replay_of),
            ("tag", event.tag),
            ("duplicates", _duplicates(event)),
            ("metadata", json_text(dict(event.metadata)) if event.metadata else None),
        ]
    )
    if history.jobs:
        click.echo()
        jobs = [job.rounds[-1] for job in history.jobs]
        print_table(
            ("job", "status", "created"),
            [(job.id, job.status, relative(job.created_at, now)) for job in jobs],
        )
    click.echo()
    print_table(("at", "what", "job", ""), (_told(entry) for entry in view["timeline"]))
    if view["headers"]:
        click.echo()
        print_facts(sorted(view["headers"].items()))
    click.echo(f"\n{_body(event.body)}")


def _told(entry: dict[str, Any]) -> tuple[str, ...]:
    """One entry of the timeline as a row: what goes without saying is left out."""
    rest = [
        f"{name} {value if isinstance(value, str | int | float) else json.dumps(value)}"
        for name, value in entry.items()
        if name not in ("at", "kind", "job_id") and value not in (None, "")
    ]
    return entry["at"] or "", entry["kind"], entry.get("job_id", ""), ", ".join(rest)


def _duplicates(event: EventSummary) -> str | None:
    """How often it came again.

    >>> from types import SimpleNamespace
    >>> _duplicates(SimpleNamespace(duplicates=3, differing_duplicates=1))
    '4, 1 with another body'
    """
    known = event.duplicates + event.differing_duplicates
    if not known:
        return None
    differing = f", {event.differing_duplicates} with another body" if event.differing_duplicates else ""
    return f"{known}{differing}"


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
