"""How the web process is put together."""

from collections.abc import Sequence
from functools import partial

from starlette.applications import Starlette

from infra.cli.connections import Connections, fsync_of
from infra.cli.start import traces_of
from infra.cli.stores import file_store
from infra.ledger.grades import Probe
from infra.settings import Settings
from infra.tracing import UNTRACED
from ingest.app import create_app, create_sharded_app
from ingest.parts import assemble
from ingest.sources import Sources


def assemble_web(settings: Settings, sources: Sources, *shards: Connections) -> Starlette:
    """The web process's application.

    Args:
        shards: how to reach each, by its number; one: there are none.
    """
    traces = traces_of(settings, "hookline-web")
    each = [
        assemble(
            settings,
            sources,
            connect=connections.connect,
            connect_waiting=connections.connect_waiting,
            files=file_store(settings),
            in_memory=connections.in_memory,
            fsync=fsync_of(settings, connections),
            traces=UNTRACED if number else traces,
            check_receiver=partial(_graded, settings),
        )
        for number, connections in enumerate(shards)
    ]
    return create_app(each[0]) if len(each) == 1 else create_sharded_app(each)


async def _graded(settings: Settings, url: str, secret: str) -> tuple[str, Sequence[Probe]]:
    """What sends callbacks is loaded when somebody wants a receiver checked: a web process sends none."""
    from infra.cli.receiver_check import graded

    return await graded(settings, url, secret)
