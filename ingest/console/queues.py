"""``/console/queues``: what waits where and for how long, what is paused, and what workers handle."""

from collections.abc import Sequence
from typing import Any, Final

from starlette.responses import Response
from starlette.types import Scope

from infra.ledger import Ledger
from infra.ledger.pauses import Held, Pause, paused
from infra.ledger.records import HandlerEntry
from ingest.api.query import query_of
from ingest.console.visit import Frame, View, Visit
from ingest.views import pause_view, queues_view

_HANDLERS: Final = 50


class QueueList(View):
    """Queues, and the handlers whose jobs stand in them."""

    def __init__(self, frame: Frame, ledger: Ledger) -> None:
        super().__init__(frame)
        self._ledger = ledger

    async def show(self, visit: Visit, scope: Scope) -> Response:
        standing = await self._ledger.measures.standing()
        workers = await self._ledger.overview.workers()
        values = {
            "queues": queues_view(standing.queues, (), standing.pauses)["queues"],
            "served": {queue.name: sum(queue.name in worker.queues for worker in workers) for queue in standing.queues},
            "pauses": {name: pause_view(one) for name, one in paused(standing.pauses, Held.QUEUE).items()},
            "handlers": (handlers := await self._handlers(paused(standing.pauses, Held.HANDLER)))[:_HANDLERS],
            "more": len(handlers[_HANDLERS:]),
            "done": query_of(scope).get("done"),
        }  # fmt: skip
        return self._frame.page(visit, "queues.html", values)

    async def _handlers(self, held_back: dict[str, Pause]) -> list[dict[str, Any]]:
        """Each handler once; those that are paused stand before the others."""
        by_name: dict[str, list[HandlerEntry]] = {name: [] for name in held_back}
        for entry in await self._ledger.pauses.entries():
            by_name.setdefault(entry.handler, []).append(entry)
        names = sorted(by_name, key=lambda name: (name not in held_back, name))
        parked = await self._ledger.pauses.parked(names)
        return [
            _handler(name, by_name[name], parked=parked[name], pause=held_back.get(name)) for name in names
        ]


def _handler(
    name: str, entries: Sequence[HandlerEntry], *, parked: int, pause: Pause | None
) -> dict[str, Any]:
    """A handler as the page shows it.

    Args:
        entries: what workers tell of it; several where it takes several types, or several workers tell.
        parked: how many of its jobs wait for a place, or for its pause to end.
    """
    return {
        "name": name,
        "takes": sorted({(entry.source, entry.type) for entry in entries}),
        "concurrency": entries[0].concurrency if entries else None,
        "parked": parked,
        "paused": None if pause is None else pause_view(pause),
    }
