"""``hookline sources``: the senders that are trusted. Shows no secret but one that is asked for; only `diagnose` needs Redis."""

from typing import Any
from urllib.parse import urlsplit

import click

from infra.cli.dev_state import environment_here
from infra.cli.looking import NotFound, look
from infra.cli.tables import counted, print_facts, print_json, print_table, printable
from infra.clock import SystemClock, rfc3339
from infra.expressions import Document, Expression
from infra.hidden_text import reveal
from infra.ledger import Ledger
from infra.settings import Settings
from ingest.diagnose import diagnose
from ingest.refusals import RefusedRequests, Sample
from ingest.sources import Source, Sources, load_sources
from ingest.views import diagnosis_view


@click.group(name="sources")
def command() -> None:
    """The senders that are trusted."""


@command.command(name="list")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def list_sources(as_json: bool) -> None:
    """All of them, by name."""
    settings, sources = _load()
    views = [source_view(source, settings) for source in sorted(sources, key=lambda source: source.name)]
    if as_json:
        print_json({"items": views})
    elif views:
        columns = ("source", "provider", "secret", "queue", "callback", "address")
        rows = [
            (view["name"], view["provider"], _secret(view), view["queue"],
             view["callback"] or "-", view["address"])
            for view in views
        ]  # fmt: skip
        print_table(columns, rows)
    else:
        click.echo("no sources: set SOURCE_<NAME>_SECRET, or write sources.toml")


@command.command(name="show")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def show_source(name: str, as_json: bool) -> None:
    """One source, and the address to paste at its sender."""
    settings, sources = _load()
    source = _named(name, sources)
    view = source_view(source, settings)
    if as_json:
        print_json(view)
        return
    print_facts(
        [
            ("source", view["name"]),
            ("provider", view["provider"]),
            ("address", view["address"]),
            ("secret", _secret(view, "missing: everything is refused")),
            ("scheme", view["scheme"]),
            ("covers", view["covers"]),
            ("queue", view["queue"]),
            ("rate", view["rate"]),
            ("callback", view["callback"]),
            ("tag", view["tag"]),
        ]
    )
    if settings.public_url is None:
        click.echo("\nHOOKLINE_PUBLIC_URL is not set, so the address is only a path.", err=True)


@command.command(name="diagnose")
@click.argument("name")
@click.option("--try", "ask", is_flag=True, help="Ask for a secret, and try that one too.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def diagnose_source(name: str, ask: bool, as_json: bool) -> None:
    """Why the last requests of source NAME were refused, and what would let them pass."""
    settings, sources = _load()
    source = _named(name, sources)
    tried = click.prompt("A secret to try", hide_input=True, err=True) if ask else None

    async def read(ledger: Ledger) -> list[Sample]:
        refused = RefusedRequests(ledger.refusals, sources, settings, SystemClock())
        return await refused.of(name)

    found = diagnose(look(read), source, sources, tried=tried)
    if as_json:
        print_json({"source": name, "items": [diagnosis_view(each) for each in found]})
    elif not found:
        click.echo(f"no request of {name} was refused in the last hour")
    for each in [] if as_json else found:
        click.echo(printable(f"{rfc3339(each.received_at)}  {counted(each.size, 'byte')}: {each.because}"))
        for line in each.holds:
            click.echo(printable(f"  {line}"))
        for cure in each.cures:
            click.echo(printable(f"  → {cure}"))
        if each.cut_short:
            click.echo("  There was more to try than time.")


@command.command(name="reveal")
@click.argument("hidden")
def reveal_secret(hidden: str) -> None:
    """A secret that a provider brought, from the `hidden` of the log's line, with HOOKLINE_SECRET_KEY."""
    settings = Settings.load(environment_here())
    if not settings.secret_keys:
        raise click.ClickException("HOOKLINE_SECRET_KEY is not set")
    click.echo(reveal(hidden, settings.secret_keys))


def source_view(source: Source, settings: Settings) -> dict[str, Any]:
    """A source as it may be shown.

    Returns:
        ``callback`` is where outcomes go: ``from the body``, ``from a header``, the host of a fixed address (its path
        may be a secret), or None.
    """
    return {
        "name": source.name,
        "provider": source.provider,
        "address": f"{settings.public_url or ''}/hooks/{source.name}",
        "has_secret": bool(source.secrets),
        "needs_secret": source.scheme.needs_secret,
        "scheme": source.scheme.summary,
        "covers": source.scheme.covers,
        "queue": source.queue,
        "rate": None if source.rate is None else str(source.rate),
        "callback": None if source.callback_url is None else _callback(source.callback_url),
        "tag": source.tag,
    }


def _load() -> tuple[Settings, Sources]:
    settings = Settings.load(environment_here())
    return settings, load_sources(settings, environment_here())


def _named(name: str, sources: Sources) -> Source:
    source = sources.get(name)
    if source is None:
        raise NotFound(f"no source {name}; there are: {', '.join(sorted(sources.by_name)) or 'none'}")
    return source


def _secret(view: dict[str, Any], missing: str = "missing") -> str:
    if view["has_secret"]:
        return "set"
    return missing if view["needs_secret"] else "not needed"


def _callback(expression: Expression) -> str:
    if "header" in expression.locations:
        return "from a header"
    if expression.locations:
        return "from the body"
    address = expression.evaluate(Document(headers={}, body=b"")) or ""
    return urlsplit(address).hostname or "a fixed address"
