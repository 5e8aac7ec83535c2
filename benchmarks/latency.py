"""How long an idle worker takes to start a job, and how long a caller waits for its callback.

Picked up: from the moment before the job is enqueued to the first line of its handler. Called back: from the moment before
the POST is sent to the arrival of the signed callback at the caller; web, worker and caller are processes of this machine.
"""

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import quantiles

import uvloop

from benchmarks import signed
from benchmarks.bare import body_of
from benchmarks.contenders import HOOKLINE, Contender
from benchmarks.marks import Marks
from benchmarks.workshop import Workshop, free_port, until, until_listening, workshop

_PACE_SECONDS = 0.03
_PYTHON = str(HOOKLINE.bin() / "python")


@dataclass(frozen=True, slots=True)
class Delay:
    """Two percentiles, in milliseconds."""

    p50: float
    p99: float

    def __str__(self) -> str:
        return f"p50 {self.p50:.2f} ms, p99 {self.p99:.2f} ms"

    @classmethod
    def of(cls, seconds: list[float]) -> "Delay":
        """Of some measured delays."""
        cut = quantiles(seconds, n=100, method="inclusive")
        return cls(cut[49] * 1000, cut[98] * 1000)


def pick_up(contender: Contender, count: int) -> Delay:
    """From enqueueing to the handler's first line, one job at a time, at random moments."""
    with workshop() as place:
        done, sent = Marks(place.folder / "done"), Marks(place.folder / "sent")
        env = place.environment(
            BENCH_MARKS=place.folder / "done", BENCH_SENT=place.folder / "sent", BENCH_SLOTS=100
        )
        with place.running(contender.worker("noop"), env=env) as worker:
            place.run([*contender.sender(), "noop", "1", "0"], env=env)
            until(lambda: done.count >= 1, watched=[worker], patience=30)
            place.run([*contender.sender(), "noop", str(count), str(contender.pace)], env=env)
            until(lambda: done.count >= count + 1, watched=[worker], patience=30)
        sent_at = dict(sent.read())
        return Delay.of([at - sent_at[number] for number, at in done.read()[1:]])


def called_back(count: int) -> Delay:
    """From the POST to its callback, through web and worker, one at a time."""
    with workshop() as place:
        web, worker = f"{_PYTHON} -m infra.cli web", " ".join(HOOKLINE.worker("noop"))
        return uvloop.run(_called_back(place, lambda *_: (web.split(), worker.split()), count))


def bare(count: int) -> Delay:
    """The same through processes that do nothing else (`benchmarks.bare`): what the machine takes."""
    with workshop() as place:
        command = f"{_PYTHON} -m benchmarks.bare"
        return uvloop.run(
            _called_back(
                place,
                lambda web, caller: (f"{command} web {web}".split(), f"{command} worker {caller}".split()),
                count,
            )
        )


async def _called_back(
    place: Workshop, commands: Callable[[int, int], tuple[Sequence[str], Sequence[str]]], count: int
) -> Delay:
    """One at a time.

    Args:
        commands: of the two processes, by the ports of web and caller.
    """
    arrived: dict[str, asyncio.Future[float]] = {}

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Any number of callbacks over one connection."""
        try:
            while True:
                _, told = await body_of(reader)
                now = time.monotonic()
                _arrival_of(json.loads(told)["data"]["job_id"], arrived).set_result(now)
                writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()

    receiver = await asyncio.start_server(take, "127.0.0.1", 0)
    port, caller = free_port(), receiver.sockets[0].getsockname()[1]
    web_command, worker_command = commands(port, caller)
    env = place.environment(
        HOST="127.0.0.1",
        PORT=port,
        BENCH_MARKS=place.folder / "marks",
        **signed.source_variables(callback_url=f"http://127.0.0.1:{caller}/"),
    )
    with place.running(web_command, env=env) as web, place.running(worker_command, env=env):
        await asyncio.to_thread(until_listening, port, web)
        delays = []
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        async with receiver:
            for event in signed.events(count + 5, kind="noop"):
                begun = time.monotonic()
                writer.write(signed.request_of(event))
                _, answer = await body_of(reader)
                async with asyncio.timeout(30):
                    delays.append(await _arrival_of(json.loads(answer)["job_id"], arrived) - begun)
                await asyncio.sleep(_PACE_SECONDS)
        writer.close()
        return Delay.of(delays[5:])


def _arrival_of(job_id: str, arrived: dict[str, "asyncio.Future[float]"]) -> "asyncio.Future[float]":
    return arrived.setdefault(job_id, asyncio.get_running_loop().create_future())
