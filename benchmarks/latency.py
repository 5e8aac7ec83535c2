"""How long an idle worker takes to start a job, and how long a caller waits for its callback.

Picked up: from the moment before the job is enqueued to the first line of its handler. Called back: from the moment before
the POST is sent to the arrival of the signed callback at the caller; web, worker and caller are processes of this machine.
"""

import asyncio
import json
import time
from dataclasses import dataclass
from statistics import quantiles

import httpx
import uvloop

from benchmarks import signed
from benchmarks.contenders import HOOKLINE, Contender
from benchmarks.marks import Marks
from benchmarks.workshop import Workshop, free_port, until, until_listening, workshop

_PACE_SECONDS = 0.03


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
        return uvloop.run(_called_back(place, count))


async def _called_back(place: Workshop, count: int) -> Delay:
    arrived: dict[str, asyncio.Future[float]] = {}

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Any number of callbacks over one connection."""
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
                told = json.loads(await reader.readexactly(length))
                _arrival_of(told["data"]["job_id"], arrived).set_result(time.monotonic())
                writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()

    receiver = await asyncio.start_server(take, "127.0.0.1", 0)
    port = free_port()
    env = place.environment(
        HOST="127.0.0.1",
        PORT=port,
        BENCH_MARKS=place.folder / "marks",
        **signed.source_variables(callback_url=f"http://127.0.0.1:{receiver.sockets[0].getsockname()[1]}/"),
    )
    python = str(HOOKLINE.bin() / "python")
    with (
        place.running([python, "-m", "infra.cli", "web"], env=env) as web,
        place.running(HOOKLINE.worker("noop"), env=env),
    ):
        await asyncio.to_thread(until_listening, port, web)
        delays = []
        async with httpx.AsyncClient(trust_env=False, timeout=30) as client, receiver:
            for event in signed.events(count + 5, kind="noop"):
                begun = time.monotonic()
                answer = await client.post(
                    f"http://127.0.0.1:{port}{signed.PATH}", content=event.body, headers=event.headers
                )
                job_id = answer.raise_for_status().json()["job_id"]
                async with asyncio.timeout(30):
                    delays.append(await _arrival_of(job_id, arrived) - begun)
                await asyncio.sleep(_PACE_SECONDS)
        return Delay.of(delays[5:])


def _arrival_of(job_id: str, arrived: dict[str, "asyncio.Future[float]"]) -> "asyncio.Future[float]":
    return arrived.setdefault(job_id, asyncio.get_running_loop().create_future())
