"""What one event costs each process, over one shard and over several: ``python -m benchmarks.scaling``.

Seconds of CPU, not of the clock: on a machine whose cores are shared by everything that is measured, they tell what each part would
do with a core of its own. ``docs/scaling.md`` reckons with them.
"""

import asyncio
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import click
import uvloop

from benchmarks import signed
from benchmarks.marks import Marks
from benchmarks.workshop import Process, Workshop, WorkshopError, free_port, until, until_listening, workshop
from infra.ledger import keys

_CONNECTIONS = 64
_PYTHON = sys.executable


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one event costs, in microseconds of CPU and in bytes; all shards together.

    Args:
        kept: in Redis's memory once its job has ended.
        written: to the append-only files.
        told: over Redis's network, both ways.
    """

    web: float
    accepting: float
    worker: float
    running: float
    kept: float
    written: float
    told: float

    def __str__(self) -> str:
        return (
            f"web {self.web:,.0f} µs, Redis for it {self.accepting:,.0f} µs; worker {self.worker:,.0f} µs, Redis for it "
            f"{self.running:,.0f} µs; Redis keeps {self.kept:,.0f} bytes, writes {self.written:,.0f}, sends and takes {self.told:,.0f}"
        )


def cost(shards: int, count: int) -> Cost:
    """Send so many signed webhooks of 2 KiB, each another event, and then run their jobs.

    Raises:
        WorkshopError: one was refused, or did not run.
    """
    with ExitStack() as stack:
        places = [stack.enter_context(workshop()) for _ in range(shards)]
        first, urls = places[0], [place.url for place in places]
        port = free_port()
        where = {"REDIS_URL": urls[0]} if shards == 1 else {"HOOKLINE_SHARDS": " ".join(urls)}
        env = first.environment(HOST="127.0.0.1", PORT=port, **signed.source_variables(), **where)
        web = stack.enter_context(first.running([_PYTHON, "-m", "infra.cli", "web"], env=env))
        until_listening(port, web)
        uvloop.run(_send(port, signed.events(100, kind="noop")))  # to warm up
        memory, files, network = (sum(map(told, places)) for told in (Workshop.memory, _written, _told))
        web_before, redis_before = web.cpu_seconds(), _redis(places)
        uvloop.run(_send(port, signed.events(count, kind="noop", first=101)))
        web_used, accepting = web.cpu_seconds() - web_before, _redis(places) - redis_before
        worker, running, ran = _run(stack, places, count + 100)

        def each(seconds: float, events: int = count) -> float:
            return seconds / events * 1e6

        return Cost(
            web=each(web_used),
            accepting=each(accepting),
            worker=each(worker, ran),
            running=each(running, ran),
            kept=(sum(place.memory() for place in places) - memory) / count,
            written=(sum(map(_written, places)) - files) / count,
            told=(sum(map(_told, places)) - network) / count,
        )


def _run(stack: ExitStack, places: Sequence[Workshop], count: int) -> tuple[float, float, int]:
    """Start a worker for each shard; what all of them and Redis used once the first jobs had run, and for how many jobs."""
    marks = places[0].folder / "marks"
    done = Marks(marks)
    workers: list[Process] = []
    for place in places:
        env = place.environment(BENCH_MARKS=marks, HOOKLINE_CONCURRENCY=400, **signed.source_variables())
        workers.append(stack.enter_context(place.running([_PYTHON, "-m", "infra.cli", "worker"], env=env)))
    until(lambda: done.count >= count // 4, watched=workers, patience=60)
    before, worker_before, redis_before = done.count, _all(workers), _redis(places)
    until(
        lambda: (
            not any(place.redis.zcount(keys.OPEN, "(0", "+inf") for place in places)
        ),  # but for the sweep's mark
        watched=workers,
        patience=120,
    )
    if done.count != count:
        raise WorkshopError(f"{count} were acknowledged, {done.count} ran")
    return _all(workers) - worker_before, _redis(places) - redis_before, count - before


async def _send(port: int, events: Iterator[signed.Event]) -> None:
    """All of them, from 64 connections; each has to be acknowledged."""
    requests = map(signed.request_of, events)

    async def one_connection() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for request in requests:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 202"):
                raise WorkshopError(f"refused: {head[:40]!r}")
            await reader.readexactly(int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0]))
        writer.close()

    await asyncio.gather(*[one_connection() for _ in range(_CONNECTIONS)])


def _all(processes: Sequence[Process]) -> float:
    return sum(process.cpu_seconds() for process in processes)


def _redis(places: Sequence[Workshop]) -> float:
    infos = [place.redis.info("cpu") for place in places]
    return sum(float(info["used_cpu_user"]) + float(info["used_cpu_sys"]) for info in infos)


def _written(place: Workshop) -> int:
    return int(place.redis.info("persistence")["aof_current_size"])


def _told(place: Workshop) -> int:
    info = place.redis.info("stats")
    return int(info["total_net_input_bytes"] + info["total_net_output_bytes"])


@click.command()
@click.option("--events", type=click.IntRange(400), default=10_000, show_default=True)
@click.option("--shards", type=click.IntRange(1, 32), multiple=True, default=(1, 2, 3), show_default=True)
def main(events: int, shards: tuple[int, ...]) -> None:
    """What one event costs each process."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that whatever was started is stopped
    for number in shards:
        click.echo(f"{number} shard(s): {cost(number, events)}")


if __name__ == "__main__":
    main()
