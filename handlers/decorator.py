"""``@handler``, ``@handler.every`` and ``@handler.cron``."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, TypedDict, TypeVar, Unpack

from handlers.declaration import ANY_TYPE, Handler, IsolationKind, checked, declare, name_of, naming
from handlers.schedules import Cron, Every, Schedule
from infra.routes import SCHEDULE_SOURCE

_Function = TypeVar("_Function", bound=Callable[..., Any])


class Options(TypedDict, total=False):
    """What can be said about any handler.

    Args:
        queue: where its jobs wait; left out: the source's queue.
        max_attempts: attempts in all, counting the first; left out: 5.
        backoff: the waits after attempt 1, 2, …; the last one repeats; each is moved by up to ±20 %.
        timeout: of one attempt; left out: three minutes.
        isolation: ``"process"`` runs it in a child process, which a timeout kills, group and all.
        concurrency: the most of its jobs that run at a time, over all workers.
        ordering_key: where the event has its key, such as ``"json:$.order_id"``; jobs with the same key run one
            after the other, in the order in which they came, whatever happens to one of them.
    """

    queue: str | None
    max_attempts: int
    backoff: str | Sequence[timedelta | str]
    timeout: timedelta | str
    isolation: IsolationKind
    concurrency: int | None
    ordering_key: str | None


class HandlerDecorator:
    """Declares handlers. The functions themselves stay as they are.

    Each way raises `HandlerError` where something about it is wrong, or where there is such a handler already.

    Args:
        add: takes what was declared.
    """

    def __init__(self, add: Callable[[Handler], None]) -> None:
        self._add = add

    def __call__(
        self,
        source: str,
        type: str = ANY_TYPE,  # noqa: A002 - the contract's word
        **options: Unpack[Options],
    ) -> Callable[[_Function], _Function]:
        """A function handles a source's events of a type; of ``"*"``: of those that nothing else takes."""

        def decorate(function: _Function) -> _Function:
            self._add(declare(function, source=source, type=type, **options))
            return function

        return decorate

    def every(
        self, interval: timedelta | str, **options: Unpack[Options]
    ) -> Callable[[_Function], _Function]:
        """A function runs again and again, at the multiples of an interval: ``"15m"`` is on the quarters of an hour, in UTC."""
        return self._recurring("every", interval, Every.of, options)

    def cron(
        self, expression: str, *, timezone: str = "UTC", **options: Unpack[Options]
    ) -> Callable[[_Function], _Function]:
        """A function runs whenever an expression says so: minute, hour, day, month, weekday, on the clocks of a time zone."""
        return self._recurring("cron", expression, lambda text: Cron.of(text, timezone), options)

    def _recurring(
        self, word: str, value: Any, read: Callable[[Any], Schedule], options: Options
    ) -> Callable[[_Function], _Function]:
        def decorate(function: _Function) -> _Function:
            with naming(function):
                schedule = checked(word, value, read)
            name = name_of(function)
            self._add(declare(function, source=SCHEDULE_SOURCE, type=name, schedule=schedule, **options))
            return function

        return decorate
