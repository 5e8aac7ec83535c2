"""``hookline demo``: one of the systems in `handlers`, whole, on a machine that has nothing and with material made on the spot."""

from importlib import import_module
from importlib.util import find_spec

import click
from rich.console import Console

from infra import logs

SYSTEMS = ("playlists", "videos", "meetings", "reports", "montage")


@click.command(name="demo")
@click.argument("system", metavar="SYSTEM", type=click.Choice(SYSTEMS))
def command(system: str) -> None:
    """Run SYSTEM whole, from the request to the callback and what it makes.

    SYSTEM is playlists, videos, meetings, reports or montage. Exit code 1: something did not come out as it should.
    """
    if find_spec("standardwebhooks") is None:
        raise click.ClickException("a demo needs more: pip install '.[dev]'")
    from infra.cli.demos.stage import Demonstration, staged

    logs.configure(level="error", log_format="console")
    demonstration: Demonstration = import_module(f"infra.cli.demos.{system}").DEMO
    if demonstration.missing is not None:
        raise click.ClickException(f"{system} needs more: {demonstration.missing}")
    with staged(system, demonstration, Console()) as stage:
        demonstration.play(stage)
        stage.say(f"{system}: everything came out as it should")
