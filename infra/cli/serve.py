"""``hookline serve``: web and worker in one process, for one small container."""

import asyncio
import dataclasses
import logging
import secrets

import click

from infra.cli import assembly
from infra.cli.listening import OrderlyServer, listen, port_of, server_config
from infra.cli.worker import leave
from infra.settings import Settings, environment

log = logging.getLogger(__name__)


@click.command(name="serve")
def command() -> None:
    """Web and worker in one process; without REDIS_URL in memory, and nothing outlives the process."""
    settings = Settings.load()
    in_memory = settings.redis_url is None
    if in_memory and not settings.secret_keys:
        settings = dataclasses.replace(settings, secret_keys=(secrets.token_hex(32),))
    sources = assembly.start(environment(), settings=settings)
    connections = assembly.Connections.in_this_process() if in_memory else assembly.Connections.of(settings)
    registry = assembly.handlers_of(settings)
    listening = listen(settings.host, settings.port)
    assembly.tell_start(settings, sources, port_of(listening))
    if in_memory:
        log.warning("REDIS_URL is not set: events and jobs live in memory, and nothing outlives this process")

    async def serve() -> None:
        """The web part goes first: what it has acknowledged by then, the worker still has its grace to run."""
        server = OrderlyServer(server_config(assembly.web(settings, sources, connections)))
        engine = assembly.engine(settings, sources, connections, registry)
        working = asyncio.create_task(engine.run(threaded=not in_memory, handle_signals=False))
        working.add_done_callback(lambda _: setattr(server, "should_exit", True))
        assembly.quiet_collector()
        try:
            await server.serve(sockets=[listening])
            engine.request_stop()
            await working
        except Exception:
            log.exception("ended by a fault")
            leave(1)  # at once: the end of the loop would wait for tasks that the fault has left behind

    asyncio.run(serve())
    leave(0)
