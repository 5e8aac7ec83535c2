"""What a worker raises at start, what a handler raises to decide about its job, and what its context raises.

HooklineError
├── HandlerError                    a handler is declared wrongly: the worker does not start
├── CallRefused (ValueError)        the context was asked for what it can't do
├── AttemptOver                     the job is no longer this attempt's
├── WaitSwallowed                   the handler went on after ``wait_for`` had ended its attempt
└── Verdict                         a handler decides by raising it
    ├── Reject                      failed, at once
    │   ├── ResultNotJSON           what it returned, or what a step did, is no JSON
    │   ├── ResultTooLarge          that is larger than `RESULT_LIMIT`, or than a step's may be
    │   └── WaitTimeout (TimeoutError)   what ``wait_for`` waited for did not come in time
    └── RetryLater                  again, after a wait that the handler chose

BaseException
└── Waits                           ends an attempt whose handler waits; no ``except Exception`` catches it
"""

from datetime import datetime, timedelta

from infra.durations import as_duration
from infra.errors import HooklineError

RESULT_LIMIT = 8 << 20
LONGEST_WAIT = timedelta(days=365)


class HandlerError(HooklineError):
    """A handler is declared wrongly; the text names the function, its file and line, and the fault."""


class CallRefused(HooklineError, ValueError):
    """The context was asked for what it can't do: a name twice, a value too large; the text says what."""


class AttemptOver(HooklineError):
    """The attempt took too long or was given to another worker: what it still does is no longer kept."""

    def __init__(self, text: str = "this attempt is over: what it does is no longer kept") -> None:
        super().__init__(text)


class WaitSwallowed(HooklineError):
    """The handler went on after ``wait_for`` had ended its attempt."""

    def __init__(self) -> None:
        super().__init__(
            "the handler caught what wait_for raises to end the attempt: let BaseException pass, and catch Exception"
        )


class Waits(BaseException):
    """Raised by ``wait_for`` where the job has to wait: the attempt ends, and the handler starts again later.

    Args:
        until: when the wait ends, on the ledger's clock.
    """

    def __init__(self, source: str, key: str, until: datetime) -> None:
        super().__init__(f"waits for {key} of {source}")
        self.source = source
        self.key = key
        self.until = until


class Verdict(HooklineError):
    """Base of what a handler raises on purpose."""


class Reject(Verdict):
    """This event can't be handled and never will be: the job fails at once.

    >>> str(Reject("no such project"))
    'no such project'
    """


class ResultNotJSON(Reject):
    """The handler, or a step of it, returned something that JSON can't carry; another attempt would do the same."""


class ResultTooLarge(Reject):
    """The handler's result is larger than `RESULT_LIMIT` bytes of UTF-8, or a step's than it may be."""


class WaitTimeout(Reject, TimeoutError):
    """What ``wait_for`` waited for did not come in time; another attempt would be told the same."""


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
