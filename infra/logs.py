"""One line an event, on standard output, for everything that runs in the process: ours, uvicorn's and RQ's.

A line says when, how bad, who, what, and the ids of what was being worked on (`bind`). Whatever is passed as
``extra=`` becomes a field of its own. Secrets are replaced wherever they would appear, in tracebacks too.
"""

import json
import logging
import math
import os
import re
import select
import sys
import traceback
from collections.abc import Iterable, Mapping
from contextlib import suppress
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import cache
from threading import Thread
from types import MappingProxyType
from typing import Any, TextIO
from urllib.parse import quote

from infra.clock import rfc3339

_OTHERS = ("uvicorn", "rq")
_CHATTY = ("httpx", "httpcore")
_SHORTEST_SECRET = 4
_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {
    "message",
    "asctime",
    "taskName",
    "color_message",
}
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_CONTROL_BUT_LINES = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")

_bound: ContextVar[Mapping[str, str | int]] = ContextVar("hookline_log_ids", default=MappingProxyType({}))


class bind:  # noqa: N801 - called like a function; a generator would cost every job twice as much
    """Put ids into every line that is logged inside: ``request``, ``event``, ``job``, ``attempt``, ``source``.

    They follow the code through ``await`` and into tasks that are started inside, and are gone afterwards.

    >>> with bind(event="evt_1"), bind(job="job_1", attempt=2):
    ...     dict(bound())
    {'event': 'evt_1', 'job': 'job_1', 'attempt': 2}
    >>> dict(bound())
    {}
    """

    __slots__ = ("_ids", "_token")

    def __init__(self, **ids: str | int) -> None:
        self._ids = ids

    def __enter__(self) -> None:
        self._token = _bound.set({**_bound.get(), **self._ids})

    def __exit__(self, *_: object) -> None:
        _bound.reset(self._token)


def bound() -> Mapping[str, str | int]:
    """The ids that the next line will carry."""
    return _bound.get()


class Redactor:
    """Replaces known secrets by ``***``, as written and as they look inside a URL.

    Secrets of fewer than four characters are left alone: replacing them would leave no readable line.

    >>> redact = Redactor(["p@ss word"])
    >>> redact.text("redis://:p%40ss%20word@cache")
    'redis://:***@cache'
    >>> redact.value({"tried": ["p@ss word", 7]})
    {'tried': ['***', 7]}
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        long_enough = {secret for secret in secrets if len(secret) >= _SHORTEST_SECRET}
        spellings = long_enough | {quote(secret, safe="") for secret in long_enough}
        longest_first = sorted(spellings, key=lambda text: (-len(text), text))
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if spellings else None

    def text(self, text: str) -> str:
        """A text without secrets."""
        return text if self._pattern is None else self._pattern.sub("***", text)

    def value(self, value: Any) -> Any:
        """Anything that is logged, as JSON can carry it and without secrets."""
        if value is None or isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
            return value
        if isinstance(value, Mapping):
            return {self.text(str(key)): self.value(item) for key, item in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self.value(item) for item in value]
        return self.text(str(value))


class JsonFormatter(logging.Formatter):
    """A line for machines: one JSON object, in ASCII, with the four levels that log collectors know."""

    def __init__(self, redactor: Redactor) -> None:
        super().__init__()
        self._redactor = redactor

    def format(self, record: logging.LogRecord) -> str:
        core = {
            "time": rfc3339(datetime.fromtimestamp(record.created, UTC)),
            "level": _level(record),
            "logger": record.name,
            "message": _message(record),
        }
        if trace := _trace(record):
            core["trace"] = trace
        return json.dumps(self._redactor.value(core | _fields(record) | core))


class ConsoleFormatter(logging.Formatter):
    """A line for people: local time, level, message, fields; then the traceback, if any.

    What strangers sent can't move the cursor or fake a line: control characters are shown, not obeyed.
    """

    def __init__(self, redactor: Redactor) -> None:
        super().__init__()
        self._redactor = redactor

    def format(self, record: logging.LogRecord) -> str:
        clock = datetime.fromtimestamp(record.created, UTC).astimezone().strftime("%H:%M:%S")
        fields = [f"{name}={self._redactor.value(value)}" for name, value in _fields(record).items()]
        line = " ".join([clock, f"{_level(record):<5}", self._redactor.text(_message(record)), *fields])
        line = _CONTROL.sub(_shown, line)
        if trace := _trace(record):
            line = f"{line}\n{_CONTROL_BUT_LINES.sub(_shown, self._redactor.text(trace))}"
        return line


class _StandardOutput(logging.StreamHandler[TextIO]):
    """Writes to standard output; a reader that went away is no reason to stop, or to complain."""

    def __init__(self) -> None:
        super().__init__(sys.stdout)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  logging's own name
        if isinstance(sys.exc_info()[1], BrokenPipeError):
            with suppress(OSError, ValueError):
                _drop(self.stream.fileno())
        else:
            super().handleError(record)


@cache
def _outlive_readers() -> None:
    """Once nobody reads standard output or error any more, what is written there goes nowhere: no ``print`` of a handler fails."""
    Thread(target=_drop_unread, name="readers", daemon=True).start()


def _drop_unread() -> None:
    streams = select.poll()
    left = {1, 2}
    for number in left:
        streams.register(number, 0)  # that the other end has gone is told unasked
    while left:
        for number, _ in streams.poll():
            streams.unregister(number)
            left.discard(number)
            with suppress(OSError):
                _drop(number)


def _drop(number: int) -> None:
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, number)
    os.close(null)


def configure(*, level: str, log_format: str, secrets: Iterable[str] = ()) -> None:
    """Send everything that is logged in this process to standard output, in one form.

    Start uvicorn with ``log_config=None``, or it puts its own handlers back. Its access log stays off: what came in is
    logged by us, with ids.

    Args:
        level: the least level that is logged: debug, info, warning, error.
        log_format: json or console.
        secrets: texts that no line may hold.
    """
    handler = _StandardOutput()
    redactor = Redactor(secrets)
    handler.setFormatter(JsonFormatter(redactor) if log_format == "json" else ConsoleFormatter(redactor))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    _outlive_readers()
    root.setLevel(level.upper())
    for name in [*_OTHERS, *logging.root.manager.loggerDict]:
        if name.split(".")[0] in _OTHERS:
            other = logging.getLogger(name)
            other.handlers.clear()
            other.propagate = True
            other.setLevel(logging.NOTSET)
    logging.getLogger("uvicorn.access").propagate = False
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)


def _message(record: logging.LogRecord) -> str:
    """The text; RQ paints its own."""
    return _COLOUR.sub("", record.getMessage())


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    extra = {name: value for name, value in record.__dict__.items() if name not in _STANDARD}
    return {**_bound.get(), **extra}


def _level(record: logging.LogRecord) -> str:
    if record.levelno >= logging.ERROR:
        return "error"
    if record.levelno >= logging.WARNING:
        return "warn"
    return "info" if record.levelno >= logging.INFO else "debug"


def _trace(record: logging.LogRecord) -> str:
    if not record.exc_info or record.exc_info[1] is None:
        return ""
    return "".join(traceback.format_exception(record.exc_info[1])).rstrip()


def _shown(control: re.Match[str]) -> str:
    return repr(control[0])[1:-1]
