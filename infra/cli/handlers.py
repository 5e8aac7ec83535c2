"""``hookline handlers``: what workers handle; pause a handler, resume it."""

import click

from infra.cli.looking import look
from infra.cli.steering import add_pauses
from infra.cli.tables import print_json, print_table
from infra.ledger import Ledger
from infra.ledger.pauses import Held, Pause, paused


@click.group(name="handlers")
def command() -> None:
    """Look at what workers handle; pause a handler, resume it."""


@command.command(name="list")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def list_handlers(as_json: bool) -> None:
    """Every handler that workers tell of, or told of while any lived."""

    async def read(ledger: Ledger) -> tuple[dict[str, int | None], list[Pause]]:
        return await ledger.pauses.handlers(), await ledger.pauses.all()

    handlers, pauses = look(read)
    held_back = paused(pauses, Held.HANDLER)
    names = sorted(handlers.keys() | held_back.keys())
    if as_json:
        items = [
            {"name": name, "concurrency": handlers.get(name), "paused": name in held_back} for name in names
        ]
        print_json({"items": items})
    elif names:
        rows = (
            (name, str(handlers.get(name) or ""), "paused" if name in held_back else "") for name in names
        )
        print_table(("handler", "at a time", "paused"), rows)
    else:
        click.echo("no handlers")


add_pauses(command, Held.HANDLER)
