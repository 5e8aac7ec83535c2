"""What was said about a handler, checked when its module is imported."""

import inspect
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal, get_args, get_type_hints

from handlers.context import Context
from handlers.errors import LONGEST_WAIT, HandlerError
from handlers.payloads import converter_for
from handlers.retry_policy import RetryPolicy
from handlers.schedules import Schedule
from infra.durations import as_duration
from infra.expressions import compile_expression
from infra.ledger.records import HandlerEntry

ANY_TYPE = "*"
IsolationKind = Literal["thread", "process"]
_SOURCE = re.compile(r"[a-z0-9-]+", re.ASCII)
_COLLECTING = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
_QUEUE = re.compile(r"[\w.:-]+", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Handler:
    """A declared function.

    Args:
        queue: where its jobs wait; None: the source's queue.
        timeout: of one attempt.
        isolation: ``process``: in a child process, which a timeout kills; ``thread``: in the worker itself.
        concurrency: the most of its jobs that run at a time, over all workers; None: as many as there are slots.
        ordering_key: an expression (`infra.expressions`); jobs for which it gives the same text run one after the
            other, in the order in which they came.
        blocking: whether it is a plain ``def``, and so runs in a thread.
        context_name: the parameter that takes the `Context`, if it has one.
        schedule: when it is due by itself; None: only when an event comes.
        convert: makes the ``payload`` argument from the event's payload, if it has that parameter.
    """

    function: Callable[..., Any]
    source: str
    type: str
    queue: str | None
    policy: RetryPolicy
    timeout: timedelta
    isolation: IsolationKind
    concurrency: int | None
    ordering_key: str | None
    blocking: bool
    context_name: str | None
    convert: Callable[[Any], Any] | None
    schedule: Schedule | None

    @property
    def name(self) -> str:
        """``module:function``."""
        return name_of(self.function)

    @property
    def place(self) -> str:
        """As people look for it: name, file and line."""
        return place_of(self.function)

    @property
    def entry(self) -> HandlerEntry:
        """What a worker publishes, so that intake can route without importing a handler."""
        return HandlerEntry(
            source=self.source,
            type=self.type,
            handler=self.name,
            queue=self.queue,
            timeout=self.timeout,
            max_attempts=self.policy.max_attempts,
            concurrency=self.concurrency,
            ordering_key=self.ordering_key,
        )

    def arguments(self, context: Context) -> dict[str, Any]:
        """What to call the function with.

        Raises:
            Reject: the payload does not fit.
        """
        arguments: dict[str, Any] = {}
        if self.context_name is not None:
            arguments[self.context_name] = context
        if self.convert is not None:
            arguments["payload"] = self.convert(context.payload)
        return arguments


def declare(
    function: Callable[..., Any],
    *,
    source: str,
    type: str,  # noqa: A002 - the contract's word
    queue: str | None = None,
    max_attempts: int = 5,
    backoff: str | Sequence[timedelta | str] = "15s,30s,1m,2m",
    timeout: timedelta | str = "3m",
    isolation: IsolationKind = "thread",
    concurrency: int | None = None,
    ordering_key: str | None = None,
    schedule: Schedule | None = None,
) -> Handler:
    """Check a declaration.

    Raises:
        HandlerError: it is wrong; names the function, where it stands, and the fault.
    """
    with naming(function):
        parameters = _parameters(function)
        context_names = parameters.keys() - {"payload"}
        return Handler(
            function=function,
            source=checked("source", source, _source),
            type=checked("type", type, _type),
            queue=None if queue is None else checked("queue", queue, _queue),
            policy=RetryPolicy(
                max_attempts=checked("max_attempts", max_attempts, _count),
                delays=checked("backoff", backoff, _delays),
            ),
            timeout=checked("timeout", timeout, _duration),
            isolation=checked("isolation", isolation, _isolation),
            concurrency=None if concurrency is None else checked("concurrency", concurrency, _count),
            ordering_key=None if ordering_key is None else checked("ordering_key", ordering_key, _expression),
            blocking=not inspect.iscoroutinefunction(function),
            context_name=next(iter(context_names), None),
            convert=_converter(function, parameters["payload"]) if "payload" in parameters else None,
            schedule=schedule,
        )


@contextmanager
def naming(function: Any) -> Iterator[None]:
    """A `ValueError` becomes a `HandlerError` that names the function and where it stands."""
    try:
        yield
    except ValueError as error:
        raise HandlerError(f"{place_of(function)}: {error}") from error


def name_of(function: Any) -> str:
    """``module:function``, or as much of it as there is."""
    return f"{getattr(function, '__module__', '?')}:{getattr(function, '__qualname__', function)}"


def place_of(function: Any) -> str:
    """A function's name, file and line, likewise."""
    name = name_of(function)
    code = getattr(function, "__code__", None)
    return name if code is None else f"{name} ({code.co_filename}:{code.co_firstlineno})"


def checked(name: str, value: Any, check: Callable[[Any], Any]) -> Any:
    """What a check makes of a value; a fault is told with the word that it was given as."""
    try:
        return check(value)
    except ValueError as error:
        raise ValueError(f"{name} {value!r}: {error}") from error


def _source(value: Any) -> str:
    if not isinstance(value, str) or _SOURCE.fullmatch(value) is None:
        raise ValueError("a source's name has only a-z, 0-9 and -")
    return value


def _type(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("name an event type, or '*' for any")
    return value


def _queue(value: Any) -> str:
    if not isinstance(value, str) or _QUEUE.fullmatch(value) is None:
        raise ValueError("a queue's name has only letters, digits and _ . : -")
    return value


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError("needs a whole number of at least 1")
    return value


def _duration(value: Any) -> timedelta:
    if not isinstance(value, str | timedelta):
        raise ValueError("not a duration: write it as '15s' or as a timedelta")  # noqa: TRY004 - one kind of fault
    duration = as_duration(value)
    if not timedelta(0) < duration <= LONGEST_WAIT:
        raise ValueError("must be more than zero and at most 365d")
    return duration


def _isolation(value: Any) -> Any:
    if value not in get_args(IsolationKind):
        raise ValueError("'thread' or 'process'")
    return value


def _expression(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("needs text such as json:$.order_id")  # noqa: TRY004 - one kind of fault
    compile_expression(value)
    return value


def _delays(value: Any) -> tuple[timedelta, ...]:
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, Sequence) or not parts:
        raise ValueError("needs waits, such as '15s,30s,1m'")
    return tuple(_duration(part) for part in parts)


def _parameters(function: Any) -> dict[str, inspect.Parameter]:
    """Those that a call must fill, and ``payload`` even if it has a default."""
    if (
        not inspect.isfunction(function)
        or inspect.isgeneratorfunction(function)
        or inspect.isasyncgenfunction(function)
    ):
        raise ValueError("a handler is a def or async def function that returns its result")
    known: dict[str, inspect.Parameter] = {}
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind is parameter.POSITIONAL_ONLY:
            raise ValueError(f"takes {name} by position only: a handler is called by name")
        if name == "payload" or (parameter.default is parameter.empty and parameter.kind not in _COLLECTING):
            known[name] = parameter
    if len(known.keys() - {"payload"}) > 1:
        raise ValueError(f"takes {', '.join(known)}: a handler takes a context, a payload, or both")
    return known


def _converter(function: Callable[..., Any], parameter: inspect.Parameter) -> Callable[[Any], Any]:
    """For what ``payload`` is annotated with, where annotations are kept as text too; no other is looked up."""
    annotation = Any if parameter.annotation is parameter.empty else parameter.annotation
    holder = type("holder", (), {"__annotations__": {"payload": annotation}})
    try:
        return converter_for(get_type_hints(holder, globalns=function.__globals__)["payload"])
    except (TypeError, NameError) as error:
        raise ValueError(f"payload: {annotation}: {error}") from error
