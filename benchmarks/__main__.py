"""``python -m benchmarks``: all of it, or one part. `make bench` is the same."""

import dataclasses
import shlex
import signal
import sys
import time
from typing import Any

import click
from rich.console import Console

from benchmarks.report import Section, keep, show
from benchmarks.sections import FULL, PARTS, Bench, Sizes
from benchmarks.workshop import workshop
from infra.errors import HooklineError


@click.command()
@click.argument("parts", nargs=-1, type=click.Choice(list(PARTS)))
@click.option("--full", is_flag=True, help="The sizes of the published numbers; takes more than an hour.")
@click.option(
    "--rounds", type=click.IntRange(1, 100), help="Turns of every contender.  [default: 3, full: 5]"
)
@click.option("--jobs", type=click.IntRange(100), help="No-op jobs of one run.  [default: 6000, full: 50000]")
@click.option(
    "--waiting", type=click.IntRange(500), help="Jobs of 50 ms for 500 slots.  [default: 20000, full: 50000]"
)
@click.option(
    "--finished",
    type=click.IntRange(0),
    help="Finished jobs in the filled server.  [default: 20000, full: 1000000]",
)
@click.option(
    "--scheduled", type=click.IntRange(0), help="Scheduled jobs in it.  [default: 2000, full: 100000]"
)
@click.option(
    "--events",
    type=click.IntRange(0),
    help="Events in the server beside which webhooks come in.  [default: 20000, full: 1000000]",
)
@click.option("--connections", type=click.IntRange(1), help="Connections that do nothing.  [default: 1000]")
@click.option(
    "--seconds", type=click.IntRange(1), help="Of every load on the web process.  [default: 2, full: 10]"
)
@click.option(
    "--only", multiple=True, metavar="NAME", help="Only this peer, by a part of its name; may be repeated."
)
@click.option("--dry", is_flag=True, help="Print, and write nothing down.")
def main(parts: tuple[str, ...], full: bool, only: tuple[str, ...], dry: bool, **sizes: int | None) -> None:
    """How fast Hookline is, beside its peers. PARTS: engine, ingest, callbacks, latency, reading, live; all when left out."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that whatever was started is stopped
    console = Console(width=None if sys.stdout.isatty() else 120)
    chosen: dict[str, Any] = {name: size for name, size in sizes.items() if size is not None}
    bench = Bench(dataclasses.replace(FULL if full else Sizes(), **chosen), console, only=only)
    with workshop() as place:
        server = place.version
    for part in parts or PARTS:
        begun = time.monotonic()
        try:
            tables, raw = PARTS[part](bench)
        except HooklineError as error:
            raise click.ClickException(f"{part}: {error}") from error
        section = Section(name=part, command=_command(), tables=tables, raw=raw, server=server)
        show(section, console)
        console.print(f"{part}: {time.monotonic() - begun:.0f} s")
        if not dry:
            keep(section)


def _command() -> str:
    return " ".join(["python -m benchmarks", *map(shlex.quote, sys.argv[1:])])


if __name__ == "__main__":
    main()
