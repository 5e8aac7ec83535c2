"""``hookline doctor``: what could lose data, and how to mend it."""

import asyncio
from collections.abc import Sequence

import click

from infra.cli.dev_state import environment_here
from infra.cli.findings import (
    Finding,
    Seen,
    Severity,
    of_records,
    of_server,
    of_settings,
    of_sources,
    of_workers,
)
from infra.cli.tables import counted, print_json, printable
from infra.ledger import Ledger, LedgerError, Seal
from infra.ledger.overview import Overview
from infra.settings import Settings, SettingsError
from infra.store import facts
from ingest.sources import Sources, load_sources

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
        found = [
            {"severity": finding.severity, "what": finding.what, "cure": finding.cure} for finding in findings
        ]
        print_json({"sound": not findings, "findings": found})
    else:
        _print(findings, errors)
    if errors:
        raise click.exceptions.Exit(1)


def examine() -> list[Finding]:
    """Everything that is wrong, errors first."""
    settings, sources, found = _configuration()
    if settings is not None and settings.redis_url is not None:
        found += asyncio.run(_behind(settings, sources))
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


async def _behind(settings: Settings, sources: Sources) -> list[Finding]:
    """What is wrong with Redis, and with what it holds."""
    from infra.cli.assembly import Connections

    try:
        client = Connections.of(settings).connect()
    except SettingsError as error:
        return [_unusable(error)]
    async with client:
        try:
            found = list(of_server(await facts(client)))
        except LedgerError as error:
            return [
                Finding(Severity.ERROR, str(error), "check REDIS_URL, its password, and that the server runs")
            ]
        if not settings.secret_keys:
            return found
        try:
            seen = await _observe(Overview(client, Seal(settings.secret_keys)), Ledger.of(client, settings))
        except LedgerError as error:
            cure = "mend the server's own troubles first"
            return [*found, Finding(Severity.ERROR, f"the ledger can't be read: {error}", cure)]
    return [*found, *of_workers(seen, sources), *of_records(seen)]


async def _observe(overview: Overview, ledger: Ledger) -> Seen:
    """Read what the findings need."""
    queues = await overview.queues()
    heads = {queue.name: await overview.waiting_since(queue.name) for queue in queues}
    manifests = await ledger.workers.manifests()
    return Seen(
        now=await overview.now(),
        workers=await overview.workers(),
        entries=[entry for manifest in manifests.values() for entry in manifest],
        queues=queues,
        waiting_since={name: since for name, since in heads.items() if since is not None},
        quarantined=sorted(await overview.quarantined()),
        corrupt=await overview.corrupt(),
        dead_callbacks=await overview.dead_callbacks(),
        sealed_by_others=await overview.sealed_by_others(),
    )


def _unusable(error: SettingsError) -> Finding:
    return Finding(
        Severity.ERROR, str(error), "docs/settings.md and docs/sources.md say what each variable takes"
    )


def _print(findings: Sequence[Finding], errors: int) -> None:
    for finding in findings:
        word = click.style(f"{finding.severity:<8}", fg=_COLOURS[finding.severity], bold=True)
        click.echo(f"{word} {printable(finding.what)}\n{'':8} {printable(finding.cure)}")
    if not findings:
        click.echo("sound")
    elif errors:
        click.echo(f"\n{counted(errors, 'error')}, {counted(len(findings) - errors, 'warning')}")
    else:
        click.echo(f"\nnothing here loses data; {counted(len(findings), 'warning')}")
