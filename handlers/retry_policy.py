"""When a job runs again. Pure: no clock, no chance, no Redis."""

from dataclasses import dataclass
from datetime import timedelta

UNCOUNTED_FOR = timedelta(days=7)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """When to try a job again after a failed attempt.

    Delays are given per attempt, the last one repeats. The policy reads no clock and
    draws no random number: the caller adds jitter.

    Args:
        max_attempts: attempts in all, counting the first; at least 1.
        delays: the wait after attempt 1, 2, …; each > 0.

    Raises:
        ValueError: a number out of its range.

    >>> policy = RetryPolicy(max_attempts=3, delays=(timedelta(seconds=15), timedelta(seconds=30)))
    >>> [policy.delay_after(attempt=n) for n in (1, 2, 3)]
    [datetime.timedelta(seconds=15), datetime.timedelta(seconds=30), None]
    """

    max_attempts: int
    delays: tuple[timedelta, ...]

    def __post_init__(self) -> None:
        if self.max_attempts < 1:
            raise ValueError("max_attempts must be at least 1")
        if not self.delays or any(delay <= timedelta(0) for delay in self.delays):
            raise ValueError("backoff needs waits that are longer than zero")

    def delay_after(self, *, attempt: int) -> timedelta | None:
        """The wait after that attempt failed, or None when it was the last."""
        if attempt >= self.max_attempts:
            return None
        return self.delays[min(attempt, len(self.delays)) - 1]


def counts_as_attempt(*, asked_to_count: bool, age: timedelta) -> bool:
    """Whether a `RetryLater` uses up an attempt: one that asks not to is believed until the job is seven days old.

    Args:
        age: of the job, since it was made.

    >>> counts_as_attempt(asked_to_count=False, age=timedelta(days=6))
    False
    >>> counts_as_attempt(asked_to_count=False, age=timedelta(days=7))
    True
    """
    return asked_to_count or age >= UNCOUNTED_FOR


def with_jitter(delay: timedelta, chance: float) -> timedelta:
    """Move a wait by up to ±20 %, so that jobs that failed together don't come back together.

    Args:
        chance: a number in [0, 1), drawn by the caller.

    >>> [with_jitter(timedelta(seconds=10), chance).total_seconds() for chance in (0, 0.5)]
    [8.0, 10.0]
    """
    return delay * (0.8 + 0.4 * chance)
