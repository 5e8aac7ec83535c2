"""The experiments, as tables: rounds in which every contender has its turn, medians, and ratios within a round."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from statistics import median
from typing import Any, TypeVar

from rich.console import Console

from benchmarks import callbacks, engine, ingest, latency, live, reading
from benchmarks.contenders import HOOKLINE, PEERS, Contender
from benchmarks.peers.jobs import WAIT_SECONDS
from benchmarks.report import Table
from infra.errors import HooklineError

_Measured = TypeVar("_Measured")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How much is measured.

    Args:
        rounds: every contender has a turn in each.
        waiting_rounds: the same for jobs that wait.
        jobs: of Hookline's no-op run; a peer gets its share of it.
        waiting: jobs that wait for 50 ms.
        seconds: of a closed or open loop.
        delays: single jobs whose delay is taken.
        callbacks: sent in one run.
        behind: callbacks to a live receiver, and as many before them to a dead one.
        finished, scheduled: what a filled server holds.
        events: what a server holds beside which webhooks come in, each with its deduplication id.
        connections: that do nothing.
        watchers: of one job; updates: that each of them gets.
    """

    rounds: int = 3
    waiting_rounds: int = 1
    jobs: int = 6_000
    waiting: int = 20_000
    seconds: int = 2
    delays: int = 50
    callbacks: int = 1_000
    behind: int = 5_000
    finished: int = 20_000
    scheduled: int = 2_000
    events: int = 20_000
    connections: int = 1_000
    watchers: int = 1_000
    updates: int = 50
    rates: tuple[int, ...] = (1_000,)


FULL = Sizes(
    rounds=5,
    waiting_rounds=5,
    jobs=50_000,
    waiting=50_000,
    seconds=10,
    delays=500,
    updates=500,
    callbacks=5_000,
    finished=1_000_000,
    scheduled=100_000,
    events=1_000_000,
    rates=(1_000, 5_000),
)


class Bench:
    """Runs experiments, and says what it is doing.

    Args:
        only: names of contenders, or nothing for all; Hookline is always there.
    """

    def __init__(self, sizes: Sizes, console: Console, *, only: Sequence[str] = ()) -> None:
        self.sizes = sizes
        self._console = console
        self._only = [name.lower() for name in only]

    def jobs_a_second(self) -> tuple[list[Table], Any]:
        """Jobs a second."""
        return _together(self._noop(), self._processes(), self._waits(), self._filled())

    def webhooks_a_second(self) -> tuple[list[Table], Any]:
        """Webhooks a second."""
        return _together(self._closed(), self._open(), self._beside(), self._crowded())

    def callbacks_a_second(self) -> tuple[list[Table], Any]:
        """Callbacks a second, and what a dead receiver costs a live one."""
        return _together(self._sent(), self._behind_a_dead_one())

    def delays(self) -> tuple[list[Table], Any]:
        """Delays on an idle machine."""
        count = self.sizes.delays
        picked = {
            contender.name: self._try(contender.name, partial(latency.pick_up, contender, count))
            for contender in self._contenders("noop")
        }
        around = {
            "POST → handler → callback": self._try(
                "Hookline, called back", partial(latency.called_back, count)
            ),
            "the same, bare": self._try("bare processes, called back", partial(latency.bare, count)),
        }
        delays = picked | around
        raw = {name: delay and asdict(delay) for name, delay in delays.items()}
        columns = ("", "p50 ms", "p99 ms")
        return [
            Table(
                "Enqueued → first line of the handler, idle",
                columns,
                _percentiles(picked),
                "p50 ≤ 2 ms, p99 ≤ 10 ms",
            ),
            Table("Web, worker, receiver, idle", columns, _percentiles(around), "p50 ≤ 8 ms"),
        ], raw

    def updates_reach(self) -> tuple[list[Table], Any]:
        """From an update to its watchers."""
        raw, rows = {}, []
        for count in (1, self.sizes.watchers):
            found = self._try(f"{count:,} watching", partial(live.reached, count, self.sizes.updates))
            raw[count] = found and asdict(found)
            rows.append(
                [f"{count:,}", "failed", "", "", ""]
                if found is None
                else [
                    f"{count:,}",
                    f"{found.each.p50:.2f}",
                    f"{found.each.p99:.2f}",
                    f"{found.last.p50:.2f}",
                    f"{found.bytes / 1024:,.0f}" if count > 1 else "",
                ]
            )
        columns = ("watchers", "p50 ms", "p99 ms", "the last one, p50 ms", "KiB each")
        return [Table("Progress reported → its event at a watcher", columns, rows, "p50 ≤ 20 ms")], raw

    def reads(self) -> tuple[list[Table], Any]:
        """What is read."""
        return _together(self._one_job(), self._pages())

    # -- callbacks -------------------------------------------------------------------------------------------------

    def _sent(self) -> tuple[list[Table], Any]:
        count = self.sizes.callbacks
        rounds = self._rounds(
            {
                "Hookline": partial(callbacks.hookline, count),
                "bare httpx loop": partial(callbacks.bare_loop, count),
            }
        )
        rows = [
            [name, _number(_median(rate for rate in runs if rate)), _ratio(rounds, name, lambda rate: rate)]
            for name, runs in rounds.items()
        ]
        reach = "≥ 5 x the bare loop"
        table = Table(f"{count:,} callbacks, one process", ("", "callbacks/s", "Hookline is"), rows, reach)
        return [table], rounds

    def _behind_a_dead_one(self) -> tuple[list[Table], Any]:
        count = self.sizes.behind
        rounds = self._rounds(
            {
                "alone": partial(callbacks.wait_p99, count, dead=0),
                "behind as many to a dead one": partial(callbacks.wait_p99, count, dead=count),
            }
        )
        alone, behind = (_median(wait for wait in runs if wait) for runs in rounds.values())
        of_alone = _within(rounds["behind as many to a dead one"], rounds["alone"], lambda wait: wait)
        rows = [
            ["alone", _decimal(alone), ""],
            ["behind as many to a dead one", _decimal(behind), of_alone],
        ]
        table = Table(f"{count:,} callbacks to a live receiver", ("", "p99 s", "of alone"), rows, "≤ 1.5 x")
        return [table], rounds

    # -- engine ----------------------------------------------------------------------------------------------------

    def _noop(self) -> tuple[list[Table], Any]:
        rounds = self._rounds({
            contender.name: partial(engine.run_once, contender, "noop", max(100, round(self.sizes.jobs * contender.share)))
            for contender in self._contenders("noop")
        })  # fmt: skip
        rows = []
        for name, runs in rounds.items():
            if not any(runs):
                rows.append([name, "failed", "", "", "", ""])
                continue
            found = engine.middle([run for run in runs if run])
            rates = [run.rate for run in runs if run]
            spread = f"{_number(min(rates))} to {_number(max(rates))}"
            ratio = _ratio(rounds, name, lambda run: run.rate)
            rows.append(
                [name, _number(found.rate), spread, ratio, f"{found.commands:.1f}", f"{found.size:,.0f}"]
            )
        columns = ("", "jobs/s", "from, to", "Hookline is", "commands/job", "bytes/job")
        reach = "≥ 75 x RQ's Worker, ≥ 1.6 x the fastest; ≤ 16 commands, ≤ 2,048 bytes beside the payload"
        return [Table("No-op jobs, 1 process, results kept", columns, rows, reach)], _raw(rounds)

    def _processes(self) -> tuple[list[Table], Any]:
        jobs = self.sizes.jobs
        rounds = self._rounds({
            "1 process": partial(engine.run_once, HOOKLINE, "noop", jobs),
            "2 processes": partial(engine.run_once, HOOKLINE, "noop", 2 * jobs, processes=2),
        })  # fmt: skip
        one, two = (_median(run.rate for run in runs if run) for runs in rounds.values())
        of_one = _within(rounds["2 processes"], rounds["1 process"], lambda run: run.rate)
        rows = [["1", _number(one), ""], ["2", _number(two), of_one]]
        table = Table("Hookline, no-op jobs, processes", ("", "jobs/s", "of 1"), rows, "≥ 1.6 x")
        return [table], _raw(rounds)

    def _waits(self) -> tuple[list[Table], Any]:
        tables, raw = [], {}
        for kind, title in (("sleep", "50 ms in the loop"), ("block", "50 ms in a thread")):
            contenders = {contender.name: contender for contender in self._contenders(kind)}
            rounds = self._rounds({
                name: partial(engine.run_once, contender, kind, self._waiting(contender, kind))
                for name, contender in contenders.items()
            }, self.sizes.waiting_rounds)  # fmt: skip
            rows = []
            for name, runs in rounds.items():
                slots = contenders[name].slots_of(kind)
                rate, ideal = _median(run.rate for run in runs if run), slots / WAIT_SECONDS
                rows.append([name, str(slots), _number(rate), "" if rate is None else f"{rate / ideal:.0%}"])
            tables.append(Table(title, ("", "slots", "jobs/s", "of the ideal"), rows, "≥ 85 %"))
            raw[kind] = _raw(rounds)
        return tables, raw

    def _waiting(self, contender: Contender, kind: str) -> int:
        """As many waves for all."""
        return max(1, self.sizes.waiting // 500) * contender.slots_of(kind)

    def _filled(self) -> tuple[list[Table], Any]:
        finished, scheduled = self.sizes.finished, self.sizes.scheduled
        with ExitStack() as stack:
            self._say(f"filling a server: {finished:,} finished, {scheduled:,} scheduled")
            full = stack.enter_context(engine.filled(HOOKLINE, finished=finished, scheduled=scheduled))
            jobs = self.sizes.jobs
            rounds = self._rounds({
                "empty": partial(engine.run_once, HOOKLINE, "noop", jobs),
                "filled": partial(engine.run_once, HOOKLINE, "noop", jobs, place=full),
            })  # fmt: skip
        empty, filled = (_median(run.rate for run in runs if run) for runs in rounds.values())
        of_empty = _within(rounds["filled"], rounds["empty"], lambda run: run.rate)
        rows = [["empty", _number(empty), ""], ["filled", _number(filled), of_empty]]
        title = f"Hookline, no-op jobs beside {finished:,} finished and {scheduled:,} scheduled ones"
        return [Table(title, ("", "jobs/s", "of empty"), rows, "≥ 0.9 x")], _raw(rounds)

    # -- ingest ----------------------------------------------------------------------------------------------------

    def _closed(self) -> tuple[list[Table], Any]:
        rounds = self._rounds({
            endpoint.name: partial(ingest.closed_loop, endpoint, self.sizes.seconds)
            for endpoint in self._endpoints()
        })  # fmt: skip
        rows = [
            [name, _number(_median(run.rate for run in runs if run)), _ratio(rounds, name, lambda run: run.rate),
             _decimal(_median(run.p50 for run in runs if run)), _decimal(_median(run.p99 for run in runs if run))]
            for name, runs in rounds.items()
        ]  # fmt: skip
        columns = ("", "requests/s", "Hookline is", "p50 ms", "p99 ms")
        title = f"{ingest.CONNECTIONS} connections, closed loop"
        table = Table(title, columns, rows, "≥ 0.75 x what stores nothing, ≥ 10 x FastAPI and RQ")
        return [table], _raw(rounds)

    def _open(self) -> tuple[list[Table], Any]:
        tables, raw = [], {}
        for rate in self.sizes.rates:
            rounds = self._rounds({
                endpoint.name: partial(ingest.open_loop, endpoint, rate, self.sizes.seconds)
                for endpoint in self._endpoints() if endpoint.stores is (endpoint is ingest.HOOKLINE)
            })  # fmt: skip
            rows = [
                [name, _decimal(_median(run.p50 for run in runs if run)), _decimal(_median(run.p99 for run in runs if run)),
                 _ratio(rounds, name, lambda run: run.p99)]
                for name, runs in rounds.items()
            ]  # fmt: skip
            columns = ("", "p50 ms", "p99 ms", "Hookline's p99 is")
            reach = "at 5,000/s, p99 ≤ 3 x that of what stores nothing"
            tables.append(Table(f"Open loop, {rate:,} requests/s", columns, rows, reach))
            raw[rate] = _raw(rounds)
        return tables, raw

    def _beside(self) -> tuple[list[Table], Any]:
        events, seconds = self.sizes.events, self.sizes.seconds
        with ExitStack() as stack:
            self._say(f"filling a server: {events:,} events")
            full = stack.enter_context(engine.filled(HOOKLINE, finished=0, scheduled=events))
            rounds = self._rounds({
                "empty": partial(ingest.closed_loop, ingest.HOOKLINE, seconds),
                "filled": partial(ingest.closed_loop, ingest.HOOKLINE, seconds, place=full),
            })  # fmt: skip
        empty, filled = (_median(run.rate for run in runs if run) for runs in rounds.values())
        of_empty = _within(rounds["filled"], rounds["empty"], lambda run: run.rate)
        rows = [["empty", _number(empty), ""], ["filled", _number(filled), of_empty]]
        title = f"Hookline beside {events:,} events and as many deduplication ids"
        return [Table(title, ("", "requests/s", "of empty"), rows, "≥ 0.9 x")], _raw(rounds)

    def _crowded(self) -> tuple[list[Table], Any]:
        connections = self.sizes.connections
        title = f"Hookline beside {connections:,} connections that are silent or stop in the middle"
        crowd = self._try(title, partial(ingest.crowded, ingest.HOOKLINE, connections, self.sizes.seconds))
        rows = [] if crowd is None else [
            ["alone", "", _number(crowd.alone.rate), _decimal(crowd.alone.p99)],
            ["beside them", f"{crowd.bytes / 1e6:.1f}", _number(crowd.beside.rate), _decimal(crowd.beside.p99)],
        ]  # fmt: skip
        columns = ("", "MB more", "requests/s", "p99 ms")
        return [Table(title, columns, rows, "< 25 MB; the others as fast")], crowd and asdict(crowd)

    # -- reading ---------------------------------------------------------------------------------------------------

    def _one_job(self) -> tuple[list[Table], Any]:
        with ExitStack() as stack:
            place = stack.enter_context(engine.filled(HOOKLINE, finished=100, scheduled=0))
            rounds = self._rounds({
                "Hookline": partial(reading.hookline, place, self.sizes.seconds),
                "bare Starlette endpoint": partial(reading.bare, place, self.sizes.seconds),
            })  # fmt: skip
        rows = [
            [name, _number(_median(rate for rate in runs if rate)), _ratio(rounds, name, lambda rate: rate)]
            for name, runs in rounds.items()
        ]
        columns = ("", "answers/s", "Hookline is")
        return [Table("GET /jobs/{id}, 64 connections", columns, rows, "≥ 0.5 x")], rounds

    def _pages(self) -> tuple[list[Table], Any]:
        """Out of few and out of many: the same."""
        rows, raw = [], {}
        for events in sorted({20_000, self.sizes.events}):
            self._say(f"filling a server: {events:,} events")
            with reading.stocked(events) as place:
                found = self._try(f"pages out of {events:,}", partial(reading.pages, place)) or {}
            for query, delay in found.items():
                raw[f"{query} of {events}"] = asdict(delay)
                rows.append([f"`GET {query}`", f"{events:,}", f"{delay.p50:.2f}", f"{delay.p99:.2f}"])
        columns = ("", "events", "p50 ms", "p99 ms")
        return [Table("A page of 50", columns, rows, "≤ 20 ms out of a million")], raw

    # -- rounds ----------------------------------------------------------------------------------------------------

    def _rounds(
        self, turns: dict[str, Callable[[], _Measured]], rounds: int | None = None
    ) -> dict[str, list[_Measured | None]]:
        """Every contender once a round, in another order each time; None where it failed."""
        found: dict[str, list[_Measured | None]] = {name: [] for name in turns}
        for number in range(self.sizes.rounds if rounds is None else rounds):
            for name in _rotated(list(turns), number):
                found[name].append(self._try(f"round {number + 1}: {name}", turns[name]))
        return found

    def _try(self, what: str, turn: Callable[[], _Measured]) -> _Measured | None:
        try:
            measured = turn()
        except HooklineError as error:
            self._say(f"[red]{what} failed:[/] {error}")
            return None
        self._say(f"{what}: {measured:,.0f}" if isinstance(measured, float) else f"{what}: {measured}")
        return measured

    def _say(self, text: str) -> None:
        self._console.print(f"[dim]{text}[/]", highlight=False)

    def _contenders(self, kind: str) -> Iterator[Contender]:
        yield HOOKLINE
        yield from (peer for peer in PEERS if kind in peer.work and self._wanted(peer.name))

    def _endpoints(self) -> Iterator[ingest.Endpoint]:
        yield from (one for one in ingest.ENDPOINTS if one is ingest.HOOKLINE or self._wanted(one.name))

    def _wanted(self, name: str) -> bool:
        return not self._only or any(part.startswith(tuple(self._only)) for part in name.lower().split())


def _together(*parts: tuple[list[Table], Any]) -> tuple[list[Table], Any]:
    return [table for tables, _ in parts for table in tables], [raw for _, raw in parts]


def _rotated(names: list[str], by: int) -> list[str]:
    turn = by % len(names)
    return names[turn:] + names[:turn]


def _median(values: Iterable[float]) -> float | None:
    """None where there is nothing."""
    known = list(values)
    return median(known) if known else None


def _ratio(rounds: dict[str, list[_Measured | None]], name: str, rate: Callable[[_Measured], float]) -> str:
    """Hookline's rate over that contender's, in the same round; the median of the rounds."""
    return "" if name == "Hookline" else _within(rounds["Hookline"], rounds[name], rate)


def _within(
    ours: list[_Measured | None], theirs: list[_Measured | None], rate: Callable[[_Measured], float]
) -> str:
    """How often their rate goes into ours, in the same round; the median of the rounds."""
    ratios = [
        rate(one) / rate(other)
        for one, other in zip(ours, theirs, strict=True)
        if one is not None and other is not None
    ]
    return _times(_median(ratios), 1)


def _times(value: float | None, of: float | None) -> str:
    return "" if value is None or of is None else f"{value / of:.2f} x"


def _percentiles(delays: Mapping[str, latency.Delay | None]) -> list[list[str]]:
    return [
        [name, *(["failed", ""] if delay is None else [f"{delay.p50:.2f}", f"{delay.p99:.2f}"])]
        for name, delay in delays.items()
    ]


def _number(value: float | None) -> str:
    return "failed" if value is None else f"{value:,.0f}"


def _decimal(value: float | None) -> str:
    return "failed" if value is None else f"{value:.2f}"


def _raw(rounds: dict[str, list[Any]]) -> dict[str, list[Any]]:
    return {name: [run and asdict(run) for run in runs] for name, runs in rounds.items()}


PARTS: dict[str, Callable[[Bench], tuple[list[Table], Any]]] = {
    "engine": Bench.jobs_a_second,
    "ingest": Bench.webhooks_a_second,
    "callbacks": Bench.callbacks_a_second,
    "latency": Bench.delays,
    "reading": Bench.reads,
    "live": Bench.updates_reach,
}
