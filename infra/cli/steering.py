"""What ``hookline queues``, ``hookline handlers`` and ``hookline workers`` share: wishes that workers heed, noted as the console's are."""

from collections.abc import Awaitable, Callable

import click

from infra.cli.looking import BY, NotFound, look
from infra.ledger import Ledger
from infra.ledger.pauses import Asked, Held


def add_pauses(group: click.Group, kind: Held) -> None:
    """Give a group its `pause` and `resume`."""

    @group.command(name="pause", help=f"Begin no further job of a {kind}; those that run go on.")
    @click.argument("name")
    def pause(name: str) -> None:
        async def ask(ledger: Ledger) -> Asked:
            return await ledger.pauses.pause(kind, name, by=BY)

        done = _ask(f"pause {kind}", name, ask)
        click.echo(f"{kind} {name} {'paused' if done else 'was paused before'}")

    @group.command(name="resume", help=f"Run the jobs of a {kind} again.")
    @click.argument("name")
    def resume(name: str) -> None:
        async def ask(ledger: Ledger) -> Asked:
            return await ledger.pauses.resume(kind, name)

        if not _ask(f"resume {kind}", name, ask):
            raise click.ClickException(f"{kind} {name} is not paused")
        click.echo(f"{kind} {name} resumed")


def drain(worker: str) -> bool:
    """Ask a worker to stop. Returns False where it was asked before.

    Raises:
        NotFound: no such worker lives.
    """

    async def ask(ledger: Ledger) -> Asked:
        return await ledger.pauses.drain(worker, by=BY)

    return _ask("drain worker", worker, ask)


def _ask(act: str, name: str, ask: Callable[[Ledger], Awaitable[Asked]]) -> bool:
    async def noted(ledger: Ledger) -> Asked:
        await ledger.desk.note(by=BY, act=act, on=name, client="")
        return await ask(ledger)

    asked = look(noted)
    if asked is Asked.MISSING:
        raise NotFound(f"no {act.partition(' ')[2]} {name}")
    return asked is Asked.NOW
