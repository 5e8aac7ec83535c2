"""``hookline web``: the HTTP process."""

import click
from starlette.applications import Starlette
from uvicorn.supervisors import Multiprocess

from infra.cli.connections import Connections, fsync_of
from infra.cli.listening import OrderlyServer, listen, port_of, server_config
from infra.cli.parent import end_with_parent
from infra.cli.start import quiet_collector, start, tell_start
from infra.cli.web_assembly import assemble_web
from infra.settings import Settings, environment


def create() -> Starlette:
    """What each of uvicorn's processes runs."""
    settings = Settings.load()
    sources = start(environment(), settings=settings)
    app = assemble_web(settings, sources, *Connections.of_shards(settings))
    quiet_collector()
    return app


@click.command(name="web")
@click.option(
    "--workers",
    default=1,
    show_default=True,
    type=click.IntRange(1, 64),
    help="Processes that share the port.",
)
@click.option("--with-parent", is_flag=True, hidden=True)
def command(workers: int, with_parent: bool) -> None:
    """Take webhooks in, on $HOST:$PORT."""
    settings = Settings.load()
    sources = start(environment(), settings=settings)
    for shard in Connections.of_shards(settings):
        fsync_of(settings, shard)
    listening = listen(settings.host, settings.port)
    tell_start(settings, sources, port_of(listening))
    if with_parent:
        end_with_parent()
    config = server_config("infra.cli.web:create", factory=True, workers=workers)
    if workers == 1:
        OrderlyServer(config).run(sockets=[listening])
    else:
        Multiprocess(config, sockets=[listening]).run()
