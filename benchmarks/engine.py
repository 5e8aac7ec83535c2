"""Jobs a second: every contender gets the same jobs, waits for nobody, and is timed on the marks of its handlers.

The jobs are in Redis before the worker starts. The time runs from the first mark to the last, so that starting up costs
nothing; what enqueues does not run meanwhile.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from statistics import median

from benchmarks.contenders import Contender
from benchmarks.marks import Marks
from benchmarks.workshop import Workshop, WorkshopError, until, workshop
from infra.ledger import keys

_STARTING_SECONDS = 30.0
_SLOWEST_RATE = 20.0
_MARKS_OF = {"noop": 1, "sleep": 2, "block": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What one run gave.

    Args:
        rate: jobs a second.
        commands: Redis commands a job, from the worker's start to its end; those inside scripts count.
        size: bytes a finished job keeps in Redis, beside the live stream.
        repeated: executions beyond one a job.
    """

    rate: float
    commands: float
    size: float
    repeated: int

    def __str__(self) -> str:
        again = f", {self.repeated} ran twice" if self.repeated else ""
        return (
            f"{self.rate:,.0f} jobs/s, {self.commands:.1f} commands and {self.size:,.0f} bytes a job{again}"
        )


def run_once(
    contender: Contender, kind: str, count: int, *, processes: int = 1, place: Workshop | None = None
) -> Run:
    """One contender, one kind of job, once.

    Args:
        place: where there is something in Redis already; a fresh server when left out.

    Raises:
        WorkshopError: it did not start, failed, or lost a job.
    """
    with ExitStack() as stack:
        fresh = place is None
        place = place or stack.enter_context(workshop())
        path = place.folder / f"marks-{len(list(place.folder.iterdir()))}"
        marks = Marks(path)
        slots = contender.slots_of(kind)
        env = place.environment(
            BENCH_MARKS=path, BENCH_SLOTS=slots, HOOKLINE_CONCURRENCY=slots, HOOKLINE_THREADS=slots
        )
        before = _memory(place)
        place.run([*contender.sender(), kind, str(count), "0"], env=env)
        place.commands()
        with ExitStack() as working:
            workers = [
                working.enter_context(place.running(contender.worker(kind), env=env))
                for _ in range(processes)
            ]
            expected = count * _MARKS_OF[kind]
            until(
                lambda: marks.count >= expected,
                watched=workers,
                patience=_STARTING_SECONDS + count / _SLOWEST_RATE,
            )
        seen = marks.read()
        if len({number for number, _ in seen}) != count:
            raise WorkshopError(f"{count - len(Counter(number for number, _ in seen))} jobs were lost")
        moments = sorted(moment for _, moment in seen)
        commands, after = place.commands(), _memory(place)
        if fresh:  # what an empty server holds by now: scripts, buffers
            place.redis.execute_command("FLUSHALL", "SYNC")
            before = _memory(place)
        return Run(
            rate=count / (moments[-1] - moments[0]),
            commands=commands / count,
            size=(after - before) / count,
            repeated=(len(seen) - expected) // _MARKS_OF[kind],
        )


@contextmanager
def filled(contender: Contender, *, finished: int, scheduled: int) -> Iterator[Workshop]:
    """A server that holds so many finished and scheduled jobs already."""
    with workshop() as place:
        command = [*contender.sender(), "fill", str(finished), str(scheduled)]
        place.run(command, env=place.environment())
        place.rewrite()
        yield place


def _memory(place: Workshop) -> int:
    """What a server holds of jobs. The live stream has its bound, however many there were."""
    return place.memory() - int(place.redis.memory_usage(keys.LIVE, samples=0) or 0)


def middle(runs: list[Run]) -> Run:
    """The medians, each by itself."""
    return Run(
        rate=median(run.rate for run in runs),
        commands=median(run.commands for run in runs),
        size=median(run.size for run in runs),
        repeated=sum(run.repeated for run in runs),
    )
