"""``hookline serve``: web and worker in one process, for one small container."""

import asyncio
import dataclasses
import logging
import secrets
from datetime import timedelta

import click

from infra.cli.connections import Connections, fsync_of
from infra.cli.leaving import leave
from infra.cli.listening import OrderlyServer, listen, port_of, server_config
from infra.cli.options import DURATION
from infra.cli.start import quiet_collector, start, tell_start
from infra.cli.web_assembly import assemble_web
from infra.cli.worker_assembly import assembled_worker, handlers_of
from infra.settings import Settings, SettingsError, environment

log = logging.getLogger(__name__)


@click.command(name="serve")
@click.option("--max-idle", type=DURATION, help="End when nothing has come for so long, such as 5m.")
def command(max_idle: timedelta | None) -> None:
    """Web and worker in one process; without REDIS_URL in memory, and nothing outlives the process."""
    settings = Settings.load()
    if settings.shards:
        raise SettingsError("HOOKLINE_SHARDS: for `hookline web` alone; here take REDIS_URL")
    in_memory = settings.redis_url is None
    if in_memory and max_idle is not None:
        raise click.UsageError("--max-idle needs REDIS_URL: what waits for its time would be lost at the end")
    if in_memory and not settings.secret_keys:
        settings = dataclasses.replace(settings, secret_keys=(secrets.token_hex(32),))
    sources = start(environment(), settings=settings)
    connections = Connections.in_this_process() if in_memory else Connections.of(settings)
    fsync_of(settings, connections)
    registry = handlers_of(settings)
    listening = listen(settings.host, settings.port)
    tell_start(settings, sources, port_of(listening))
    if in_memory:
        log.warning("REDIS_URL is not set: events and jobs live in memory, and nothing outlives this process")

    async def serve() -> None:
        """The web part goes first: what it has acknowledged by then, the worker still has its grace to run."""
        server = OrderlyServer(server_config(assemble_web(settings, sources, connections)))
        async with assembled_worker(settings, sources, connections, registry) as engine:
            working = asyncio.create_task(
                engine.run(
                    burst=max_idle is not None,
                    max_idle=max_idle or timedelta(0),
                    threaded=not in_memory,
                    handle_signals=False,
                )
            )
            working.add_done_callback(lambda _: setattr(server, "should_exit", True))
            quiet_collector()
            try:
                await server.serve(sockets=[listening])
                engine.request_stop()
                await working
            except Exception:
                log.exception("ended by a fault")
                leave(1)  # at once: the end of the loop would wait for tasks that the fault has left behind

    asyncio.run(serve())
    leave(0)
