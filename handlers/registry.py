"""Which function handles which event: the ``@handler`` decorator, and the loading of modules at start."""

import importlib
import pkgutil
from collections.abc import Iterable, Iterator
from types import ModuleType

from handlers.declaration import ANY_TYPE, Handler
from handlers.decorator import HandlerDecorator
from handlers.errors import HandlerError
from infra.ledger.records import HandlerEntry


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
        self.handler = HandlerDecorator(self._add)

    def find(self, source: str, type: str) -> Handler | None:  # noqa: A002 - the contract's word
        """The handler of exactly that type, else the one that takes any type of the source."""
        return self._handlers.get((source, type)) or self._handlers.get((source, ANY_TYPE))

    def manifest(self) -> list[HandlerEntry]:
        """What a worker publishes, so that intake can route without importing a handler."""
        return [handler.entry for handler in self]

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
