"""What is counted and timed: plain numbers in each process, which Redis adds up for ``GET /metrics`` to show.

Counting costs a request half a microsecond, a job two, and no command: every process sends what has come together, some
seconds' worth at a time (`Publisher`). So any web process tells the same of all of them, whichever one the platform's router
picks, and a worker needs no port. A process that is killed takes its last seconds with it; the ledger does not count on these
numbers. Why so: ``docs/adr/0019-metrics-in-redis.md``.
"""

import asyncio
import json
import logging
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final, Generic, TypeVar

from infra.ids import new_suffix
from infra.ledger import LedgerError, Measures
from infra.ledger.measures import MOST_ADDED, Pulse
from infra.ledger.records import Delivery, Failed, Finished, Receipt, Settlement
from infra.tasks import end

log = logging.getLogger(__name__)

MOST_VALUES: Final = 200  # combinations of labels that one process tells apart; what comes on top is `OTHER`
OTHER: Final = "other"
UNKNOWN: Final = "unknown"

_SEND_EVERY: Final = 5.0  # seconds
_MICROSECONDS: Final = 1_000_000
_QUICK: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_LONG: Final = (0.005, 0.025, 0.1, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0)


@dataclass(frozen=True, slots=True)
class Family:
    """What one series tells.

    Args:
        name: without the prefix and without the unit; that of a counter ends in no ``_total``.
        bounds: of a histogram's buckets, in seconds, rising; none: it is a counter.
    """

    name: str
    meaning: str
    labels: tuple[str, ...]
    bounds: tuple[float, ...] = ()


_Key = TypeVar("_Key")
_Value = TypeVar("_Value")

FAMILIES: Final = (
    RECEIVED := Family("events_received", "New events, stored and queued.", ("source",)),
    DUPLICATES := Family("events_duplicate", "Events that had come before; nothing ran twice.", ("source",)),
    REFUSED := Family("requests_refused", "Requests that were refused, by the problem's code.", ("source", "code")),
    ATTEMPTS := Family("attempts", "Executions of handlers, by what became of them.", ("source", "handler", "outcome")),
    CALLBACKS := Family("callback_attempts", "POSTs of callbacks, by where they left the callback.", ("source", "status")),
    ACK := Family("ack", "From a request's headers to the moment its event is stored.", ("source",), _QUICK),
    QUEUE_WAIT := Family("queue_wait", "From an event's acceptance to its job's first attempt.", ("queue",), _LONG),
    RUN := Family("run", "One execution of a handler.", ("source", "handler"), _LONG),
    CALLBACK := Family("callback", "One POST of a callback.", ("source",), (*_QUICK, 10.0, 15.0)),
    END_TO_END := Family("end_to_end", "From an event's acceptance to its job's end.", ("source", "handler"), _LONG),
)  # fmt: skip


class Count:
    """How often something happened, for one combination of labels."""

    __slots__ = ("value",)

    def __init__(self, _: Family) -> None:
        self.value = 0

    def take(self) -> Iterator[tuple[tuple[str, ...], int]]:
        """What has come together, and where it is kept; it starts again from nought."""
        if self.value:
            yield (), self.value
            self.value = 0


class Durations:
    """How long something took, for one combination of labels."""

    __slots__ = ("_bounds", "_buckets", "_places", "_total")

    def __init__(self, family: Family) -> None:
        self._bounds = family.bounds
        self._places = places_of(family)
        self._buckets = [0] * (len(self._bounds) + 1)
        self._total = 0.0

    def observe(self, seconds: float) -> None:
        """Note one."""
        self._buckets[bisect_left(self._bounds, seconds)] += 1
        self._total += seconds

    def take(self) -> Iterator[tuple[tuple[str, ...], int]]:
        """As `Count.take`: how many are in each bucket, and their sum in microseconds."""
        for place, value in zip(
            self._places, (*self._buckets, int(self._total * _MICROSECONDS)), strict=True
        ):
            if value:
                yield (place,), value
        self._buckets = [0] * len(self._buckets)
        self._total = 0.0


_One = TypeVar("_One", Count, Durations)


class Series(Generic[_One]):
    """A family's numbers, by its labels' values.

    >>> received = Series(RECEIVED, Count)
    >>> received.of("github").value += 2
    >>> received.take(), received.take()
    ({'["events_received","github"]': 2}, {})
    >>> ack = Series(ACK, Durations)
    >>> ack.of("github").observe(0.002)
    >>> ack.take()
    {'["ack","github","0.0025"]': 1, '["ack","github","sum"]': 2000}
    """

    def __init__(self, family: Family, make: Callable[[Family], _One]) -> None:
        self._family = family
        self._make: Callable[[Family], _One] = make
        self._ones: dict[tuple[str, ...], _One] = {}

    def of(self, *labels: str) -> _One:
        """The number for these values; beyond `MOST_VALUES` of them, that of all others."""
        one = self._ones.get(labels)
        if one is None:
            if len(self._ones) >= MOST_VALUES:
                labels = (OTHER,) * len(labels)
            one = self._ones.setdefault(labels, self._make(self._family))
        return one

    def take(self) -> dict[str, int]:
        """What has come together, by the fields of `Measures`; it starts again from nought."""
        return {
            field_of(self._family, labels, *place): value
            for labels, one in self._ones.items()
            for place, value in one.take()
        }


class _Kept(dict[_Key, _Value]):
    """Makes what it lacks, once: to look labels up anew would cost more than to count."""

    def __init__(self, make: Callable[[_Key], _Value]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, key: _Key) -> _Value:
        made = self[key] = self._make(key)
        return made


def places_of(family: Family) -> tuple[str, ...]:
    """What is kept of a histogram for one combination of labels.

    >>> places_of(CALLBACK)[-3:]
    ('15', '+Inf', 'sum')
    """
    return (*(f"{bound:g}" for bound in family.bounds), "+Inf", "sum")


def field_of(family: Family, labels: Sequence[str], *place: str) -> str:
    """Where Redis keeps a number of a series.

    >>> field_of(REFUSED, ("github", "signature_invalid"))
    '["requests_refused","github","signature_invalid"]'
    """
    return json.dumps([family.name, *labels, *place], separators=(",", ":"))


def pulse_of(numbers: Mapping[str, int]) -> Pulse:
    """What of some numbers counts for the minute in which they are sent.

    >>> pulse_of({'["events_received","github"]': 2, '["attempts","github","m:f","finished"]': 1, '["ack","github","sum"]': 9})
    Pulse(received=2, finished=1, failed=0, open=None)
    """
    told = {"received": 0, "finished": 0, "failed": 0}
    for field, value in numbers.items():
        family, *_, last = json.loads(field)
        word = "received" if family == RECEIVED.name else last if family == ATTEMPTS.name else None
        if word in told:
            told[word] += value
    return Pulse(**told)


class Metrics:
    """Everything that one process counts. Not for several threads: a loop has its own."""

    def __init__(self) -> None:
        received, duplicates, ack = Series(RECEIVED, Count), Series(DUPLICATES, Count), Series(ACK, Durations)
        attempts, run, end_to_end = (
            Series(ATTEMPTS, Count),
            Series(RUN, Durations),
            Series(END_TO_END, Durations),
        )
        callbacks, callback = Series(CALLBACKS, Count), Series(CALLBACK, Durations)
        self._refused, self._queue_wait = Series(REFUSED, Count), Series(QUEUE_WAIT, Durations)
        self._all = (
            received, duplicates, ack, attempts, run, end_to_end, callbacks, callback, self._refused, self._queue_wait,
        )  # fmt: skip
        self._of_source = _Kept[str, tuple[Durations, Count, Count]](
            lambda source: (ack.of(source), received.of(source), duplicates.of(source))
        )
        self._of_handler = _Kept[tuple[str, str], tuple[Durations, Durations, dict[type, Count]]](
            lambda names: (
                run.of(*names),
                end_to_end.of(*names),
                _Kept[type, Count](lambda outcome: attempts.of(*names, outcome.__name__.lower())),
            )
        )
        self._of_callback = _Kept[tuple[str, str], tuple[Durations, Count]](
            lambda known: (callback.of(known[0]), callbacks.of(*known))
        )

    def accepted(self, source: str, receipts: Sequence[Receipt], seconds: float) -> None:
        """A request's events are stored, or were before."""
        ack, received, duplicates = self._of_source[source]
        ack.observe(seconds)
        for receipt in receipts:
            if receipt.duplicate:
                duplicates.value += 1
            else:
                received.value += 1

    def refused(self, source: str | None, code: str) -> None:
        """A request was refused.

        Args:
            source: None where it named none that there is, so that strangers can't make up values.
        """
        self._refused.of(UNKNOWN if source is None else source, code).value += 1

    def attempted(self, settlement: Settlement, seconds: float) -> None:
        """An attempt has ended.

        Args:
            seconds: that it took. The moments in its claim are on Redis's clock, so no two clocks are compared.
        """
        claim, outcome = settlement.claim, type(settlement.outcome)
        run, end_to_end, outcomes = self._of_handler[claim.source, settlement.handler]
        outcomes[outcome].value += 1
        run.observe(seconds)
        waited = (claim.claimed_at - claim.created_at).total_seconds()
        if claim.attempt == 1:
            self._queue_wait.of(claim.queue).observe(waited)
        if outcome in _ENDS:
            end_to_end.observe(waited + seconds)

    def called(self, delivery: Delivery) -> None:
        """A callback was tried."""
        duration, attempts = self._of_callback[delivery.callback.job.source, delivery.status.value]
        duration.observe(delivery.attempt.duration.total_seconds())
        attempts.value += 1

    def take(self) -> dict[str, int]:
        """What has come together since the last time, by the fields of `Measures`."""
        return {field: value for series in self._all for field, value in series.take().items()}


_ENDS: Final = frozenset({Finished, Failed})


class Publisher:
    """Sends what a process counts to the ledger, every few seconds while there is something."""

    def __init__(self, metrics: Metrics, measures: Measures, *, every: float = _SEND_EVERY) -> None:
        self._metrics = metrics
        self._measures = measures
        self._every = every
        self._name = new_suffix()
        self._sequence = 0
        self._unsent: dict[str, int] = {}
        self._sending = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Send from now on, in the running loop."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Send the last, if Redis takes it."""
        await end(self._task)
        try:
            await self.send()
        except LedgerError as error:
            log.warning("the last numbers for /metrics are lost: %s", error)

    async def send(self) -> None:
        """Send what has come together.

        Raises:
            LedgerError: not confirmed; it is sent again, and counts once.
        """
        async with self._sending:
            self._unsent = self._unsent or self._metrics.take()
            while self._unsent:
                some = dict(islice(self._unsent.items(), MOST_ADDED))
                await self._measures.add(self._name, self._sequence, some, pulse_of(some))
                self._sequence += 1
                for field in some:
                    del self._unsent[field]

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._every)
            try:
                await self.send()
            except LedgerError as error:
                log.debug("numbers for /metrics wait: %s", error)
