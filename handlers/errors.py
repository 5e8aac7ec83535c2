"""What a worker raises at start, and what a handler raises to decide about its job.

HooklineError
├── HandlerError             a handler is declared wrongly: the worker does not start
└── Verdict                  a handler decides by raising it
    ├── Reject               failed, at once
    │   ├── ResultNotJSON    what it returned is no JSON
    │   └── ResultTooLarge   what it returned is larger than `RESULT_LIMIT`
    └── RetryLater           again, after a wait that the handler chose
"""

from datetime import timedelta

from infra.durations import as_duration
from infra.errors import HooklineError

RESULT_LIMIT = 8 << 20
LONGEST_WAIT = timedelta(days=365)


class HandlerError(HooklineError):
    """A handler is declared wrongly; the text names the function, its file and line, and the fault."""


class Verdict(HooklineError):
    """Base of what a handler raises on purpose."""


class Reject(Verdict):
    """This event can't be handled and never will be: the job fails at once.

    >>> str(Reject("no such project"))
    'no such project'
    """


class ResultNotJSON(Reject):
    """The handler returned something that JSON can't carry; another attempt would return the same."""


class ResultTooLarge(Reject):
    """The handler's result is larger than `RESULT_LIMIT` bytes of UTF-8."""


class RetryLater(Verdict):
    """Not yet: run the job again after `delay`.

    Args:
        delay: ``"90s"`` or a timedelta; more than zero, at most a year.
        reason: shown in the job's timeline.
        count: whether it uses up one of ``max_attempts``. With False it does not, while the job is younger than
            `handlers.retry_policy.UNCOUNTED_FOR`.

    Raises:
        ValueError: the delay is no such duration.

    >>> RetryLater("90s", "still summarising").delay.total_seconds()
    90.0
    """

    def __init__(self, delay: timedelta | str, reason: str = "", *, count: bool = True) -> None:
        super().__init__(reason)
        self.delay = as_duration(delay)
        self.count = count
        if not timedelta(0) < self.delay <= LONGEST_WAIT:
            raise ValueError("RetryLater needs a delay of more than zero and at most 365d")
