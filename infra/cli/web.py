"""``hookline web``: the HTTP process."""

import click
from starlette.applications import Starlette
from uvicorn.supervisors import Multiprocess

from infra.cli import assembly
from infra.cli.listening import OrderlyServer, listen, port_of, server_config
from infra.cli.parent import end_with_parent
from infra.settings import Settings, environment


def create() -> Starlette:
    """What each of uvicorn's processes runs."""
    settings = Settings.load()
    sources = assembly.start(environment(), settings=settings)
    app = assembly.web(settings, sources, assembly.Connections.of(settings))
    assembly.quiet_collector()
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
    sources = assembly.start(environment(), settings=settings)
    assembly.fsync_of(settings, assembly.Connections.of(settings))
    listening = listen(settings.host, settings.port)
    assembly.tell_start(settings, sources, port_of(listening))
    if with_parent:
        end_with_parent()
    config = server_config("infra.cli.web:create", factory=True, workers=workers)
    if workers == 1:
        OrderlyServer(config).run(sockets=[listening])
    else:
        Multiprocess(config, sockets=[listening]).run()
