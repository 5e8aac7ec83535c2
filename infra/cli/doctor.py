"""``hookline doctor``: what could lose data, and how to mend it."""

import asyncio
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from handlers.errors import HandlerError
from infra.cli.dev_state import environment_here
from infra.cli.findings import of_disk, of_routes, of_settings, of_sources
from infra.cli.tables import counted, print_json, printable
from infra.files import StoreUnavailable
from infra.findings import Finding, Severity, observe, of_records, of_server, of_workers
from infra.findings.finding import error as error_of
from infra.findings.finding import of_shard
from infra.findings.finding import warning as warning_of
from infra.findings.usual import of_troubles
from infra.ledger import Ledger, LedgerError
from infra.settings import Settings, SettingsError
from infra.store import facts
from ingest.sources import Sources, load_sources

if TYPE_CHECKING:
    from infra.cli.connections import Connections

_COLOURS = {Severity.ERROR: "red", Severity.WARNING: "yellow"}


@click.command(name="doctor")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def command(as_json: bool) -> None:
    """What could lose data, and how to mend it.

    Looks at the settings, the sources, Redis, the workers, and at what waits for a person. Exit code 1: there is an
    error, which can lose data, or keeps everything from working.
    """
    findings = examine()
    errors = sum(finding.severity is Severity.ERROR for finding in findings)
    if as_json:
        print_json({"sound": not findings, "findings": [_view(finding) for finding in findings]})
    else:
        _print(findings, errors)
    if errors:
        raise click.exceptions.Exit(1)


def examine() -> list[Finding]:
    """Everything that is wrong, errors first."""
    settings, sources, found = _configuration()
    if settings is not None:
        found += _of_handlers(settings)
        found += _of_files(settings)
        found += _of_archive(settings)
        if settings.redis_url is not None or settings.shards:
            found += _of_servers(settings, sources)
    return sorted(found, key=lambda finding: finding.severity is not Severity.ERROR)


def _configuration() -> tuple[Settings | None, Sources, list[Finding]]:
    """The settings and the sources as far as they can be read, and what is wrong with them."""
    settings, sources = None, Sources({})
    try:
        settings = Settings.load(environment_here())
        sources = load_sources(settings, environment_here())
    except SettingsError as error:
        return settings, sources, [_unusable(error)]
    return settings, sources, [*of_settings(settings, sources), *of_sources(sources, settings)]


def _of_handlers(settings: Settings) -> Iterator[Finding]:
    """Handlers that a worker could not start with, such as two for one type."""
    from infra.cli.worker_assembly import handlers_of

    try:
        handlers_of(settings)
    except HandlerError as error:
        yield error_of(
            "handlers", str(error), why="no worker starts", cure="mend it, as docs/handlers.md says"
        )


def _of_files(settings: Settings) -> Iterator[Finding]:
    """The disk that uploads and artifacts are kept on, where it is one of this machine."""
    if settings.files is not None and (place := Path(settings.files)).is_dir():
        usage = shutil.disk_usage(place)
        yield from of_disk("HOOKLINE_FILES", free=usage.free, total=usage.total)


def _of_archive(settings: Settings) -> Iterator[Finding]:
    """An archive that can't be opened, or not be reached from here."""
    from infra.cli.stores import archive_of

    try:
        archive = archive_of(settings)
        if archive is not None:
            asyncio.run(archive.days())
    except SettingsError as error:
        yield _unusable(error)
    except StoreUnavailable as error:
        yield warning_of(
            "archive", f"the archive can't be read from here: {error}",
            why="if workers can't write there either, what is past retention waits, and Redis grows",
            cure="mend what HOOKLINE_ARCHIVE names: its address, its credentials, its disk",
        )  # fmt: skip


def _of_servers(settings: Settings, sources: Sources) -> Iterator[Finding]:
    """What is wrong with Redis; with several, each on its own, which may be away while the others are not."""
    from infra.cli.connections import Connections

    try:
        each = Connections.of_shards(settings)
    except SettingsError as error:
        yield _unusable(error)
        return
    for shard, connections in enumerate(each):
        for finding in (
            *asyncio.run(_behind(connections, settings, sources)),
            *_of_durability(settings, connections),
        ):
            yield of_shard(shard, finding) if settings.shards else finding


async def _behind(connections: "Connections", settings: Settings, sources: Sources) -> list[Finding]:
    """What is wrong with a server, and with what it holds."""
    async with connections.connect() as client:
        try:
            server = await facts(client)
        except LedgerError as error:
            return [
                error_of(
                    "redis-away", str(error), why="nothing is accepted",
                    cure="check REDIS_URL, its password, and that the server runs",
                )
            ]  # fmt: skip
        if not settings.secret_keys:
            return list(of_server(server))
        ledger = Ledger.of(client, settings)
        try:
            seen = await observe(ledger, retention=settings.retention, thorough=True)
            troubles = await ledger.troubles.open()
        except LedgerError as error:
            mangled = error_of(
                "ledger", f"the ledger can't be read: {error}", why="nothing works",
                cure="mend the server's own troubles first",
            )  # fmt: skip
            return [*of_server(server), mangled]
    found = [*of_server(server, seen.volume), *of_workers(seen), *of_routes(seen, sources), *of_records(seen)]
    return [*found, *of_troubles(troubles)]


def _of_durability(settings: Settings, connections: "Connections") -> Iterator[Finding]:
    """What HOOKLINE_DURABILITY asks of Redis in vain; web does not start then."""
    from infra.cli.connections import fsync_of

    try:
        fsync_of(settings, connections)
    except SettingsError as error:
        yield error_of(
            "durability", str(error), why="web does not start",
            cure="set `appendfsync always`, or HOOKLINE_DURABILITY=everysec",
        )  # fmt: skip


def _unusable(error: SettingsError) -> Finding:
    return error_of(
        "settings", str(error), why="no process starts",
        cure="docs/settings.md and docs/sources.md say what each variable takes",
    )  # fmt: skip


def _view(finding: Finding) -> dict[str, str]:
    return {
        "severity": finding.severity, "code": finding.code, "subject": finding.subject,
        "what": finding.what, "why": finding.why, "cure": finding.cure,
    }  # fmt: skip


def _print(findings: Sequence[Finding], errors: int) -> None:
    for finding in findings:
        word = click.style(f"{finding.severity:<8}", fg=_COLOURS[finding.severity], bold=True)
        click.echo(f"{word} {printable(finding.text)}\n{'':8} {printable(finding.cure)}")
    if not findings:
        click.echo("sound")
    elif errors:
        click.echo(f"\n{counted(errors, 'error')}, {counted(len(findings) - errors, 'warning')}")
    else:
        click.echo(f"\nnothing here loses data; {counted(len(findings), 'warning')}")
