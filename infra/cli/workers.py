"""``hookline workers``: who works, and on what; have one end."""

from datetime import datetime

import click

from infra.cli.looking import look
from infra.cli.steering import drain
from infra.cli.tables import print_json, print_table, relative
from infra.ledger import Ledger
from infra.ledger.overview import LiveWorker


@click.group(name="workers")
def command() -> None:
    """Look at workers; drain one."""


@command.command(name="drain")
@click.argument("name")
def drain_worker(name: str) -> None:
    """Have a worker end, as SIGTERM does: it takes no further job, and those that it runs may end."""
    click.echo(f"worker {name} {'drains' if drain(name) else 'was asked before'}")


@command.command(name="list")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def list_workers(as_json: bool) -> None:
    """Every worker that is alive."""
    from ingest.views import queues_view

    async def read(ledger: Ledger) -> tuple[list[LiveWorker], datetime]:
        return await ledger.overview.workers(), await ledger.overview.now()

    workers, now = look(read)
    if as_json:
        print_json({"items": queues_view((), workers, ())["workers"]})
    elif workers:
        columns = ("worker", "host", "queues", "busy", "seen", "version", "")
        print_table(columns, (_row(one, now) for one in workers))
    else:
        click.echo("no workers")


def _row(one: LiveWorker, now: datetime) -> tuple[str, ...]:
    busy = str(one.busy) if one.slots is None else f"{one.busy} of {one.slots}"
    state = "draining" if one.draining else ""
    return one.name, one.host, ", ".join(one.queues), busy, relative(one.seen_at, now), one.version, state
