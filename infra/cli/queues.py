"""``hookline queues``: what waits in them; pause one, resume it."""

from datetime import timedelta

import click

from infra.cli.looking import look
from infra.cli.steering import add_pauses
from infra.cli.tables import print_json, print_table
from infra.durations import in_words
from infra.ledger import Ledger
from infra.ledger.measures import QueueStanding, Standing
from infra.ledger.pauses import Held, paused


@click.group(name="queues")
def command() -> None:
    """Look at queues; pause one, resume it."""


@command.command(name="list")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def list_queues(as_json: bool) -> None:
    """Every queue that ever held a job."""
    from ingest.views import queues_view

    async def read(ledger: Ledger) -> Standing:
        return await ledger.measures.standing()

    standing = look(read)
    if as_json:
        print_json({"items": queues_view(standing.queues, (), standing.pauses)["queues"]})
    elif standing.queues:
        held_back = paused(standing.pauses, Held.QUEUE)
        columns = ("queue", "queued", "oldest", "scheduled", "started", "failed", "paused")
        print_table(columns, (_row(one, one.name in held_back) for one in standing.queues))
    else:
        click.echo("no queues")


add_pauses(command, Held.QUEUE)


def _row(queue: QueueStanding, is_paused: bool) -> tuple[str, ...]:
    oldest = timedelta(seconds=round(queue.oldest.total_seconds()))
    numbers = (queue.scheduled, queue.started, queue.failed)
    waiting = queue.queued + queue.parked
    return (
        queue.name,
        str(waiting),
        in_words(oldest) if queue.queued else "",
        *map(str, numbers),
        "paused" if is_paused else "",
    )
