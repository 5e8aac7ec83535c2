"""``hookline demo``: one of the systems in `handlers`, whole, on a machine that has nothing and with material made on the spot."""

from datetime import timedelta
from importlib import import_module
from importlib.util import find_spec

import click
from rich.console import Console

from infra import logs
from infra.cli.options import COUNTS, DURATION

SYSTEMS = ("playlists", "videos", "meetings", "reports", "montage")


@click.command(name="demo")
@click.argument("system", metavar="SYSTEM", type=click.Choice(SYSTEMS))
@click.option("--songs", type=click.IntRange(1, 2_000), help="of playlists: measure a list of so many songs")
@click.option("--workers", type=COUNTS, default="1,2,4", show_default=True, help="by so many, and by so many")
@click.option(
    "--song-time",
    type=DURATION,
    default="800ms",
    show_default=True,
    help="what a model would take for a song, simulated",
)
def command(system: str, songs: int | None, workers: tuple[int, ...], song_time: timedelta) -> None:
    """Run SYSTEM whole, from the request to the callback and what it makes.

    SYSTEM is playlists, videos, meetings, reports or montage. Exit code 1: something did not come out as it should.

    `playlists --songs 250` measures instead how long so many songs take with 1, 2 and 4 workers.
    """
    if songs is not None and system != "playlists":
        raise click.UsageError("--songs goes with playlists alone")
    if find_spec("standardwebhooks") is None:
        raise click.ClickException("a demo needs more: pip install '.[dev]'")
    from handlers.extras import lacking, to_install
    from infra.cli.demos import playlist_times
    from infra.cli.demos.stage import Demonstration, staged

    logs.configure(level="error", log_format="console")
    demonstration: Demonstration = import_module(f"infra.cli.demos.{system}").DEMO
    if demonstration.extra is not None and lacking(demonstration.extra):
        raise click.ClickException(f"{system} needs more: {to_install(demonstration.extra)}")
    if songs is not None:
        playlist_times.measure(Console(), count=songs, workers=workers, song_time=song_time)
        return
    with staged(system, demonstration, Console()) as stage:
        demonstration.play(stage)
        stage.say(f"{system}: everything came out as it should")
