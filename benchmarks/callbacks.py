"""Callbacks a second: one process sends on a core of its own, the receiver and Redis share the other.

Timed at the receiver, from the first callback to the last. Hookline's wait in the outbox when its worker starts, and every
one is recorded as delivered; the bare loop signs and posts the same and records nothing.

What a dead receiver costs a live one: callbacks to each, those to the dead one first, and a dead one that takes connections
and never answers.
"""

import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

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


def wait_p99(count: int, *, dead: int) -> float:
    """How long 99 of 100 callbacks wait, in seconds from the first POST to anybody, behind so many to a dead receiver."""
    with _receiving() as (place, url, marks, env), _silent() as (nowhere, called):
        if dead:
            place.run([*HOOKLINE.sender(), "fill", str(dead), "0", nowhere], env=env)
        place.run([*HOOKLINE.sender(), "fill", str(count), "0", url], env=env)
        with place.running(HOOKLINE.worker("noop"), env=env, core=SERVER_CORE) as worker:
            until(lambda: marks.count >= count, watched=[worker], patience=_patience(count))
        moments = sorted(moment for _, moment in marks.read()[:count])
        return moments[int(0.99 * count)] - min([moments[0], *called])


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


@contextmanager
def _silent() -> Iterator[tuple[str, list[float]]]:
    """The URL of a receiver that takes connections and never answers, and when the first came."""
    called: list[float] = []
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as server:

        def take() -> None:
            with suppress(OSError), server.accept()[0]:
                called.append(time.monotonic())
                ended.wait()

        ended = threading.Event()
        waiting = threading.Thread(target=take)
        waiting.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}/callback", called
        finally:
            ended.set()
            server.shutdown(socket.SHUT_RDWR)
            waiting.join()


def _patience(count: int) -> float:
    return _STARTING_SECONDS + count / _SLOWEST_RATE


def _rate(marks: Marks, count: int) -> float:
    moments = sorted(moment for _, moment in marks.read()[:count])
    return (count - 1) / (moments[-1] - moments[0])
