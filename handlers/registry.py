"""Which function handles which event: the ``@handler`` decorator, and the loading of modules at start."""

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import timedelta
from types import ModuleType
from typing import Any, TypeVar

from handlers.declaration import ANY_TYPE, Handler, IsolationKind, declare
from handlers.errors import HandlerError
from infra.ledger.records import HandlerEntry

_Function = TypeVar("_Function", bound=Callable[..., Any])


class Registry:
    """The handlers of one worker.

    >>> registry = Registry()
    >>> @registry.handler("github", "push", timeout="1m")
    ... def pushed(context):
    ...     return context.payload["ref"]
    >>> registry.find("github", "push").timeout
    datetime.timedelta(seconds=60)
    >>> registry.find("github", "star") is None
    True
    """

    def __init__(self) -> None:
        self._handlers: dict[tuple[str, str], Handler] = {}

    def handler(
        self,
        source: str,
        type: str = ANY_TYPE,  # noqa: A002 - the contract's word
        *,
        queue: str | None = None,
        max_attempts: int = 5,
        backoff: str | Sequence[timedelta | str] = "15s,30s,1m,2m",
        timeout: timedelta | str = "3m",
        isolation: IsolationKind = "thread",
        concurrency: int | None = None,
        ordering_key: str | None = None,
    ) -> Callable[[_Function], _Function]:
        """Declare that a function handles a source's events of a type. The function itself stays as it is.

        Args:
            type: the event's type, or ``"*"`` for those that nothing else takes.
            queue: where its jobs wait; left out: the source's queue.
            max_attempts: attempts in all, counting the first.
            backoff: the waits after attempt 1, 2, …; the last one repeats; each is moved by up to ±20 %.
            timeout: of one attempt.
            isolation: ``"process"`` runs it in a child process, which a timeout kills, group and all.
            concurrency: the most of its jobs that run at a time, over all workers.
            ordering_key: where the event has its key, such as ``"json:$.order_id"``; jobs with the same key run one
                after the other, in the order in which they came, whatever happens to one of them.

        Raises:
            HandlerError: something about it is wrong, or the pair has a handler already.
        """

        def decorate(function: _Function) -> _Function:
            self._add(
                declare(
                    function,
                    source=source,
                    type=type,
                    queue=queue,
                    max_attempts=max_attempts,
                    backoff=backoff,
                    timeout=timeout,
                    isolation=isolation,
                    concurrency=concurrency,
                    ordering_key=ordering_key,
                )
            )
            return function

        return decorate

    def find(self, source: str, type: str) -> Handler | None:  # noqa: A002 - the contract's word
        """The handler of exactly that type, else the one that takes any type of the source."""
        return self._handlers.get((source, type)) or self._handlers.get((source, ANY_TYPE))

    def manifest(self) -> list[HandlerEntry]:
        """What a worker publishes, so that intake can route without importing a handler."""
        return [
            HandlerEntry(
                source=handler.source,
                type=handler.type,
                handler=handler.name,
                queue=handler.queue,
                timeout=handler.timeout,
                max_attempts=handler.policy.max_attempts,
                concurrency=handler.concurrency,
                ordering_key=handler.ordering_key,
            )
            for handler in self
        ]

    def __iter__(self) -> Iterator[Handler]:
        return iter(self._handlers.values())

    def _add(self, declared: Handler) -> None:
        first = self._handlers.setdefault((declared.source, declared.type), declared)
        if first is not declared:
            raise HandlerError(
                f"two handlers for ({declared.source!r}, {declared.type!r}): {first.place} and {declared.place}"
            )


default_registry = Registry()
handler = default_registry.handler


def load(modules: Iterable[str]) -> Registry:
    """Import modules, and every module of packages, for the handlers that they declare.

    A module without handlers does no harm, so helpers can stand beside the handlers that use them.

    Returns:
        The registry that `handler` fills.

    Raises:
        HandlerError: a handler is declared wrongly, or a module can't be imported; it is named, with the cause.
    """
    for name in modules:
        _import_tree(name)
    return default_registry


def _import_tree(name: str) -> None:
    module = _import(name)
    for found in pkgutil.iter_modules(getattr(module, "__path__", ())):
        if found.name != "__main__":
            _import_tree(f"{name}.{found.name}")


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except HandlerError:
        raise
    except (Exception, SystemExit) as error:
        cause = " ".join(f"{error.__class__.__name__}: {error}".split())
        raise HandlerError(f"the handler module {name} can't be imported: {cause}") from error
