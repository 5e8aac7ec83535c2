"""Who may be called now: how many at a time, how fast, and not at all while nobody is there.

A receiver is a URL without its query; a host is shared by receivers that may have nothing to do with each other, such as
the hooks of Make. So answers that are missing or wrong count against the receiver alone, and only a connection that does not
come about counts against the host.

- **At a time**: a receiver begins with `WINDOW_FIRST`, gets one more with each callback that it takes, up to `WINDOW_MOST`,
  and half with each that it leaves without an answer. One that hangs soon holds a single line.
- **How fast**: by the host's rate, where it has one, of which each of the workers takes its share; a 429 to any of them sets
  one, half of what was sent, which doubles every `RELAX_SECONDS` until it is no limit any more. A ``Retry-After`` is a pause
  for all that goes to the receiver.
- **Not at all**: after `FAILURES` failures in a row, one callback is sent every `probe_every` seconds. When one is taken,
  the others follow at a pace that begins with `RAMP_FIRST` a second and grows by half each second.

Nothing here reads a clock: seconds of a clock that never goes back are passed in.
"""

from dataclasses import dataclass, field
from enum import Enum, auto
from functools import lru_cache
from math import inf
from typing import Final
from urllib.parse import urlsplit

WINDOW_FIRST: Final = 16
WINDOW_MOST: Final = 64
HOST_MOST: Final = 128
FAILURES: Final = 10
RAMP_FIRST: Final = 8.0
RAMP_FACTOR: Final = 1.5
NO_LIMIT: Final = 1_000.0
LEAST_RATE: Final = 5.0
RELAX_SECONDS: Final = 10.0
LEARN_SECONDS: Final = 3.0
PAUSE_MOST: Final = 60.0
STILL_SECONDS: Final = 0.25
KNOWN_MOST: Final = 10_000
_KNOWN_RATE: Final = 30.0
"""Make takes 300 in 10 s and Zapier 30 a second: help.make.com/webhooks, docs.zapier.com/platform/build/operating-constraints."""


class Result(Enum):
    """What became of one callback, as far as the receiver matters."""

    TAKEN = auto()
    """2xx."""
    REFUSED = auto()
    """Any other answer."""
    THROTTLED = auto()
    """429."""
    SILENT = auto()
    """No answer, or not a whole one."""
    UNREACHABLE = auto()
    """No connection."""
    UNSENT = auto()
    """Nothing was sent, for a reason of ours."""


@dataclass(frozen=True, slots=True)
class Receiver:
    """Where callbacks go: a URL without its query, and its host with the port.

    >>> Receiver.of("https://hook.eu2.make.com/abc?x=1")
    Receiver(url='https://hook.eu2.make.com/abc', host='hook.eu2.make.com')
    """

    url: str
    host: str

    @staticmethod
    @lru_cache(maxsize=1024)
    def of(url: str) -> "Receiver":
        """The receiver behind a URL. One that can't be read stands for itself; the guard refuses it later."""
        try:
            host = urlsplit(url).netloc.lower()
        except ValueError:
            host = ""
        return Receiver(url.partition("?")[0], host)


def known_rate(host: str) -> float | None:
    """Callbacks a second that a host is known to take at the most; None: not known.

    >>> known_rate("hook.eu2.make.com"), known_rate("hooks.zapier.com"), known_rate("example.com")
    (30.0, 30.0, None)
    """
    name = host.partition(":")[0]
    return _KNOWN_RATE if name.endswith(".make.com") or name == "hooks.zapier.com" else None


@dataclass(slots=True)
class _Breaker:
    """Closed; after too many failures open; after a success in that state recovering, then closed."""

    failures: int = 0
    next_at: float = 0.0
    ramp: float = inf
    faster_at: float = 0.0

    @property
    def open(self) -> bool:
        return self.failures >= FAILURES

    @property
    def calm(self) -> bool:
        """Whether nothing needs to be remembered."""
        return self.failures == 0 and self.ramp == inf

    def wait(self, now: float, *, sending: int) -> float:
        if self.open and sending:
            return inf
        return max(0.0, self.next_at - now) if self.open or self.ramp < inf else 0.0

    def begin(self, now: float) -> None:
        if self.ramp == inf:
            return
        while now >= self.faster_at and self.ramp < inf:
            self.ramp *= RAMP_FACTOR
            self.faster_at += 1.0
            if self.ramp > NO_LIMIT:
                self.ramp = inf
        self.next_at = now + 1.0 / self.ramp

    def fail(self, now: float, *, probe_every: float) -> None:
        self.failures += 1
        self.ramp = inf
        self.next_at = now + probe_every

    def succeed(self, now: float) -> None:
        if self.open:
            self.ramp, self.faster_at = RAMP_FIRST, now + 1.0
            self.next_at = now + 1.0 / self.ramp
        self.failures = 0


@dataclass(slots=True)
class _Receiver:
    sending: int = 0
    window: float = WINDOW_FIRST
    pause_until: float = 0.0
    moved_at: float = 0.0
    breaker: _Breaker = field(default_factory=_Breaker)

    @property
    def calm(self) -> bool:
        return not self.sending and self.breaker.calm


@dataclass(slots=True)
class _Host:
    rate: float | None
    sending: int = 0
    next_at: float = 0.0
    learned: float | None = None
    learned_at: float = -inf
    relax_at: float = 0.0
    second: int = 0
    this_second: int = 0
    last_second: int = 0
    breaker: _Breaker = field(default_factory=_Breaker)

    @property
    def calm(self) -> bool:
        return not self.sending and self.learned is None and self.breaker.calm

    def limit(self, now: float, *, workers: int) -> float | None:
        """Callbacks a second, at this moment, where so many workers share the host's own rate."""
        while self.learned is not None and now >= self.relax_at:
            self.learned *= 2
            self.relax_at += RELAX_SECONDS
            if self.learned > NO_LIMIT:
                self.learned = None
        share = None if self.rate is None else self.rate / workers
        return min((limit for limit in (share, self.learned) if limit is not None), default=None)

    def count(self, now: float) -> None:
        if (second := int(now)) != self.second:
            self.last_second = self.this_second if second == self.second + 1 else 0
            self.second, self.this_second = second, 0
        self.this_second += 1

    def learn(self, now: float, *, workers: int) -> None:
        """It said that this is too fast."""
        sent = max(self.this_second, self.last_second)
        limit = self.limit(now, workers=workers)
        self.learned = max(LEAST_RATE / workers, (sent if limit is None else min(sent, limit)) / 2)
        self.learned_at, self.relax_at = now, now + RELAX_SECONDS


class Receivers:
    """What is known of the receivers. `begin` and `end` stand around each callback; `wait` says whether one may begin.

    Args:
        probe_every: seconds between two callbacks to a receiver that fails.
        rate: for every host, callbacks a second; None: what is known of Make and Zapier.

    >>> receivers, make = Receivers(probe_every=4.0), Receiver.of("https://hook.eu2.make.com/abc")
    >>> receivers.wait(make, 0.0)
    0.0
    >>> receivers.begin(make, 0.0)
    >>> round(receivers.wait(make, 0.0), 3)
    0.033
    """

    def __init__(self, *, probe_every: float, rate: float | None = None) -> None:
        self._probe_every = probe_every
        self._rate = rate
        self._workers = 1
        self._receivers: dict[str, _Receiver] = {}
        self._hosts: dict[str, _Host] = {}

    def wait(self, receiver: Receiver, now: float) -> float:
        """Seconds until a callback may begin; 0: now; infinite: not before another has ended."""
        one, host = self._of(receiver)
        if one.sending >= int(one.window) or host.sending >= HOST_MOST:
            return inf
        return max(
            0.0,
            one.pause_until - now,
            host.next_at - now,
            one.breaker.wait(now, sending=one.sending),
            host.breaker.wait(now, sending=host.sending),
        )

    def slow(self, receiver: Receiver, now: float) -> bool:
        """Whether a callback that can't begin now is held up by the receiver, not by those just before it."""
        one, _ = self._of(receiver)
        return self.wait(receiver, now) < inf or now - one.moved_at > STILL_SECONDS

    def begin(self, receiver: Receiver, now: float) -> None:
        """A callback is being sent."""
        one, host = self._of(receiver)
        if not one.sending:
            one.moved_at = now
        one.sending += 1
        host.sending += 1
        one.breaker.begin(now)
        host.breaker.begin(now)
        host.count(now)
        if (limit := host.limit(now, workers=self._workers)) is not None:
            host.next_at = max(host.next_at, now) + 1.0 / limit

    def end(self, receiver: Receiver, result: Result, now: float, *, pause: float = 0.0) -> None:
        """It was sent, or not.

        Args:
            pause: how many seconds the receiver asked us to wait.
        """
        one, host = self._of(receiver)
        one.sending -= 1
        host.sending -= 1
        one.pause_until = max(one.pause_until, now + min(pause, PAUSE_MOST)) if pause else one.pause_until
        if result is Result.UNSENT:
            return
        if result is Result.UNREACHABLE:
            host.breaker.fail(now, probe_every=self._probe_every)
        else:
            host.breaker.succeed(now)
        if result is Result.TAKEN:
            one.breaker.succeed(now)
            one.moved_at = now
            one.window = min(one.window + 1, WINDOW_MOST)
        elif result is Result.THROTTLED:
            host.learn(now, workers=self._workers)
        else:
            one.breaker.fail(now, probe_every=self._probe_every)
            if result is not Result.REFUSED:
                one.window = max(1.0, one.window / 2)

    def share(self, workers: int) -> None:
        """So many workers send to the same hosts."""
        self._workers = max(1, workers)

    def throttle(self, host: str, now: float) -> None:
        """The host has answered 429 to another worker: this one slows down too, unless it has just done so."""
        known = self._hosts.get(host)
        if known is not None and now - known.learned_at >= LEARN_SECONDS:
            known.learn(now, workers=self._workers)

    def _of(self, receiver: Receiver) -> tuple[_Receiver, _Host]:
        one, host = self._receivers.get(receiver.url), self._hosts.get(receiver.host)
        if one is None:
            if len(self._receivers) >= KNOWN_MOST:
                self._receivers = {url: known for url, known in self._receivers.items() if not known.calm}
            one = self._receivers[receiver.url] = _Receiver()
        if host is None:
            if len(self._hosts) >= KNOWN_MOST:
                self._hosts = {name: known for name, known in self._hosts.items() if not known.calm}
            rate = known_rate(receiver.host) if self._rate is None else self._rate
            host = self._hosts[receiver.host] = _Host(rate)
        return one, host
