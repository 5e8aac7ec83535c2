"""``hookline receivers``: look at where callbacks go, pause what should get none, resume it."""

from datetime import datetime

import click

from infra.cli.looking import NotFound, look
from infra.cli.tables import counted, print_json, print_table, relative
from infra.ids import RECEIVER, is_id
from infra.ledger import Ledger
from infra.ledger.pausing import RATE
from infra.ledger.receivers import receiver_url
from infra.ledger.records import ReceiverRecord, ReceiverStatus

_STATUSES = click.Choice([status.value for status in ReceiverStatus])


@click.group(name="receivers")
def command() -> None:
    """Look at where callbacks go; pause a receiver, resume it."""


@command.command(name="list")
@click.option("--status", type=_STATUSES, help="Only these.")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 1000), help="At most so many.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def list_receivers(status: str | None, limit: int, as_json: bool) -> None:
    """The receivers that callbacks went to last."""
    from ingest.views import receiver_view

    async def read(ledger: Ledger) -> tuple[list[ReceiverRecord], datetime]:
        wanted = None if status is None else ReceiverStatus(status)
        return await ledger.receivers.newest(status=wanted, limit=limit), await ledger.receivers.now()

    found, now = look(read)
    if as_json:
        print_json({"items": [receiver_view(one) for one in found]})
    elif found:
        columns = ("receiver", "status", "since", "took one", "url", "because")
        print_table(columns, (_row(one, now) for one in found))
    else:
        click.echo("no receivers")


@command.command(name="pause")
@click.argument("receiver", metavar="URL_OR_ID")
def pause_receiver(receiver: str) -> None:
    """Send nothing more to a receiver; its callbacks become dead letters."""

    async def pause(ledger: Ledger) -> tuple[str, bool]:
        url = await _url(ledger, receiver)
        return url, await ledger.pausing.pause(url)

    url, done = look(pause)
    click.echo(f"{url} {'paused' if done else 'was paused before'}")


@command.command(name="resume")
@click.argument("receiver", metavar="URL_OR_ID")
@click.option(
    "--rate", default=RATE, show_default=True, type=click.IntRange(1, 1000), help="So many a second."
)
def resume_receiver(receiver: str, rate: int) -> None:
    """Send to a receiver again, and make again what was withheld from it."""

    async def resume(ledger: Ledger) -> tuple[str, int | None]:
        url = await _url(ledger, receiver)
        return url, await ledger.pausing.resume(url, rate=rate)

    url, again = look(resume)
    if again is None:
        raise click.ClickException(f"{url} is not paused")
    click.echo(f"{url} resumed, {counted(again, 'callback')} to be made again")


async def _url(ledger: Ledger, receiver: str) -> str:
    if not is_id(receiver, RECEIVER):
        if not receiver.startswith(("https://", "http://")):
            raise click.UsageError("Name a receiver by its URL, or by its id.")
        return receiver_url(receiver)
    found = await ledger.receivers.receiver(receiver)
    if found is None:
        raise NotFound(f"no receiver {receiver}")
    return found.url


def _row(one: ReceiverRecord, now: datetime) -> tuple[str, ...]:
    paused = one.status is ReceiverStatus.PAUSED
    since = one.paused_at if paused else one.failing_since
    because = ": ".join(word for word in (one.reason, one.error) if word)
    return one.id, one.status, relative(since, now), relative(one.taken_at, now), one.url, because
