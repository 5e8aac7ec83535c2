"""How long one playlist takes, by the number of workers. Each takes one song at a time, as it would with a model that needs all of it."""

import json
import time
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import timedelta
from typing import Final

import httpx
from rich.console import Console

from infra.cli.demos.playlists import DEMO, songs
from infra.cli.demos.stage import DemoError, Demonstration, Stage, staged
from infra.cli.tables import print_table
from infra.durations import in_words, milliseconds
from infra.settings import Settings

_PATIENCE_SECONDS: Final = 60.0
_LONGEST_SECONDS: Final = 3600.0
_TO_WARM_UP: Final = 3  # songs a worker, before the clock runs: its first one has it load the libraries


def measure(console: Console, *, count: int, workers: Sequence[int], song_time: timedelta) -> None:
    """Have the same playlist analysed by so many workers, then by so many, each time on a fresh stage; show a table.

    Args:
        song_time: what a larger model would take for a song, besides what the analysis takes.

    Raises:
        DemoError: a playlist did not finish, or not with every song.
    """
    took = [_with(console, number, count=count, song_time=song_time) for number in workers]
    console.print(f"{count} songs, {in_words(song_time)} of simulated model a song", highlight=False)
    print_table(
        ("workers", "time", "songs a second", "times as fast"),
        [
            (str(number), in_words(one), f"{count / one.total_seconds():.1f}", f"{took[0] / one:.2f}")
            for number, one in zip(workers, took, strict=True)
        ],
    )


def _with(console: Console, workers: int, *, count: int, song_time: timedelta) -> timedelta:
    took: list[timedelta] = []

    def variables(_stack: ExitStack) -> dict[str, str]:
        return {"PLAYLISTS_SONG_TIME": f"{milliseconds(song_time)}ms", "HOOKLINE_THREADS": "1"}

    def play(stage: Stage) -> None:
        _wait_for_workers(stage, workers)
        _analysed(stage, _TO_WARM_UP * workers)
        took.append(_analysed(stage, count))

    demonstration = Demonstration(extra=DEMO.extra, workers=workers, variables=variables, play=play)
    with staged("playlists", demonstration, console) as stage:
        demonstration.play(stage)
    return took[0]


def _analysed(stage: Stage, count: int) -> timedelta:
    """How long it took from the request to the result."""
    file = stage.client.upload(json.dumps(songs(count)).encode())
    submitted = stage.client.submit("playlists.analyze", {"name": "Measured", "songs": file.id})
    job = stage.client.wait(submitted.job_id, seconds=_LONGEST_SECONDS)
    if job.status != "finished" or job.ended_at is None or len(job.result["songs"]) != count:
        raise DemoError(f"the playlist {job.status}, or songs are missing")
    return job.ended_at - job.created_at


def _wait_for_workers(stage: Stage, count: int) -> None:
    """Return once all of them have said that they are there."""
    (key, *_) = Settings.load(stage.variables).api_keys
    limit = time.monotonic() + _PATIENCE_SECONDS
    with httpx.Client(
        base_url=stage.web, headers={"Authorization": f"Bearer {key.key}"}, trust_env=False
    ) as client:
        while len(client.get("/queues").json()["workers"]) < count:
            if time.monotonic() > limit:
                raise DemoError(f"not all of {count} workers have come")
            time.sleep(0.1)
