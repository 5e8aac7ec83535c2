"""Callbacks a second: one process sends on a core of its own, the receiver and Redis share the other.

Timed at the receiver, from the first callback to the last. Hookline's wait in the outbox when its worker starts, and every
one is recorded as delivered; the bare loop signs and posts the same and records nothing.

``python -m benchmarks.callbacks COUNT`` measures what a dead receiver costs a live one: so many callbacks to each, those to
the dead one first, and a dead one that takes connections and never answers.
"""

import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.contenders import HOOKLINE
from benchmarks.marks import Marks
from benchmarks.workshop import (
    LOAD_CORE,
    SERVER_CORE,
    Workshop,
    free_port,
    pin,
    unpin,
    until,
    until_listening,
    workshop,
)

_STARTING_SECONDS = 30.0
_SLOWEST_RATE = 20.0


def hookline(count: int) -> float:
    """Callbacks a second of one worker process."""
    with _receiving() as (place, url, marks, env):
        place.run([*HOOKLINE.sender(), "fill", str(count), "0", url], env=env)
        with place.running(HOOKLINE.worker("noop"), env=env, core=SERVER_CORE) as worker:
            until(lambda: marks.count >= count, watched=[worker], patience=_patience(count))
        return _rate(marks, count)


def bare_loop(count: int) -> float:
    """Callbacks a second of a loop over one shared client."""
    with _receiving() as (place, url, marks, env):
        command = [sys.executable, "-m", "benchmarks.peers.httpx_loop", url, str(count)]
        place.run(command, env=env, core=SERVER_CORE, seconds=_patience(count))
        return _rate(marks, count)


def last_seconds(count: int, *, dead: int) -> float:
    """Until 99 of 100 callbacks have come, in seconds from the worker's start, behind so many to a dead receiver."""
    with (
        _receiving() as (place, url, marks, env),
        socket.create_server(("127.0.0.1", 0), backlog=1024) as silent,
    ):
        if dead:
            nowhere = f"http://127.0.0.1:{silent.getsockname()[1]}/callback"
            place.run([*HOOKLINE.sender(), "fill", str(dead), "0", nowhere], env=env)
        place.run([*HOOKLINE.sender(), "fill", str(count), "0", url], env=env)
        begun = time.monotonic()
        with place.running(HOOKLINE.worker("noop"), env=env, core=SERVER_CORE) as worker:
            until(lambda: marks.count >= count, watched=[worker], patience=_patience(count))
        moments = sorted(moment for _, moment in marks.read()[:count])
        return moments[int(0.99 * count)] - begun


@contextmanager
def _receiving() -> Iterator[tuple[Workshop, str, Marks, dict[str, str]]]:
    pin(LOAD_CORE)
    try:
        with workshop() as place:
            port = free_port()
            env = place.environment(BENCH_MARKS=place.folder / "received")
            with place.running([sys.executable, "-m", "benchmarks.receiver", str(port)], env=env) as receiver:
                until_listening(port, receiver)
                jobs_env = env | {"BENCH_MARKS": str(place.folder / "jobs")}
                yield place, f"http://127.0.0.1:{port}/callback", Marks(place.folder / "received"), jobs_env
    finally:
        unpin()


def _patience(count: int) -> float:
    return _STARTING_SECONDS + count / _SLOWEST_RATE


def _rate(marks: Marks, count: int) -> float:
    moments = sorted(moment for _, moment in marks.read()[:count])
    return (count - 1) / (moments[-1] - moments[0])


if __name__ == "__main__":
    for _ in range(3):
        alone, beside = (last_seconds(int(sys.argv[1]), dead=dead) for dead in (0, int(sys.argv[1])))
        print(f"alone {alone:.2f} s, beside a dead one {beside:.2f} s: {beside / alone:.2f} x")
