"""``hookline worker``: the worker."""

import asyncio
import dataclasses
import logging
import sys
from datetime import timedelta

import click
import uvloop

from infra.cli.connections import Connections
from infra.cli.leaving import leave
from infra.cli.options import DURATION
from infra.cli.parent import end_with_parent
from infra.cli.start import quiet_collector, start
from infra.cli.worker_assembly import assembled_worker, handlers_of
from infra.durations import milliseconds
from infra.settings import Settings, environment
from ingest.sources import Sources

log = logging.getLogger(__name__)

_TO_SIGN_OFF = timedelta(seconds=15)  # after the grace: jobs go back, callbacks are parked


@click.command(name="worker")
@click.option("--queues", help="Comma-separated; instead of HOOKLINE_QUEUES.")
@click.option(
    "--concurrency", type=click.IntRange(1, 10_000), help="Jobs at a time; instead of HOOKLINE_CONCURRENCY."
)
@click.option(
    "--processes",
    type=click.IntRange(1, 256),
    help="Worker processes, under a supervisor that keeps them up.",
)
@click.option("--burst", is_flag=True, help="End when the queues are empty.")
@click.option("--max-idle", type=DURATION, help="End when nothing has come for so long, such as 60s.")
@click.option("--with-parent", is_flag=True, hidden=True)
def command(
    queues: str | None,
    concurrency: int | None,
    processes: int | None,
    burst: bool,
    max_idle: timedelta | None,
    with_parent: bool,
) -> None:
    """Run handlers, and send callbacks."""
    settings = Settings.load()
    if queues is not None:
        settings = dataclasses.replace(settings, queues=Settings.load({"HOOKLINE_QUEUES": queues}).queues)
    if concurrency is not None:
        settings = dataclasses.replace(settings, concurrency=concurrency)
    sources = start(environment(), settings=settings)
    if with_parent:
        end_with_parent()
    if burst and max_idle is None:
        max_idle = timedelta(0)
    if processes is None:
        leave(run(settings, sources, max_idle=max_idle))
    else:
        leave(supervise(settings, processes, max_idle=max_idle))


def run(settings: Settings, sources: Sources, *, max_idle: timedelta | None) -> int:
    """Work until told to stop. Returns the exit code.

    Args:
        max_idle: or until nothing has come for so long; None: however long that is.
    """
    connections = Connections.of(settings)
    registry = handlers_of(settings)

    async def work() -> None:
        async with assembled_worker(settings, sources, connections, registry) as engine:
            quiet_collector()
            try:
                await engine.run(burst=max_idle is not None, max_idle=max_idle or timedelta(0))
            except Exception:
                log.exception("the worker ends by a fault; what it ran is taken over")
                leave(1)  # at once: the end of the loop would wait for tasks that the fault has left behind

    uvloop.run(work())
    return 0


def supervise(settings: Settings, processes: int, *, max_idle: timedelta | None) -> int:
    """Keep many workers running until told to stop. Returns the exit code."""
    from worker.supervisor import Supervisor

    words = [
        "--queues",
        ",".join(settings.queues),
        "--concurrency",
        str(settings.concurrency),
        "--with-parent",
    ]
    if max_idle is not None:
        words += ["--max-idle", f"{milliseconds(max_idle)}ms"]
    command = [sys.executable, "-m", "infra.cli", "worker", *words]
    patience = settings.shutdown_grace + _TO_SIGN_OFF

    async def keep_up() -> int:
        return await Supervisor(command, count=processes, patience=patience, burst=max_idle is not None).run()

    return asyncio.run(keep_up())
