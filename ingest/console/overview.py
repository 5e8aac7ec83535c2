"""``/console/``: whether anything is lost, late or failing, and what to do about it."""

from collections.abc import Mapping
from typing import Final

from starlette.responses import Response
from starlette.types import Scope

from infra.findings import NO_WORKER, PAUSED, of_pauses
from infra.findings.usual import facts_of
from infra.ledger import Ledger
from infra.ledger.records import ReceiverStatus
from ingest.console.charts import charts
from ingest.console.visit import Frame, View, Visit
from ingest.views import queues_view, receiver_view

_RECEIVERS: Final = 5
_FINDINGS: Final = 10
_PAGES: Final = {
    "failing": "/console/failures",
    "jobs-given-up": "/console/jobs?status=failed",
    "callbacks-given-up": "/console/callbacks?status=dead",
    "receivers-paused": "/console/receivers",
    "type-unknown": "/console/jobs?status=ignored",
    "queue-late": "/console/jobs?status=queued",
    "queue-unserved": "/console/queues",
    **dict.fromkeys(PAUSED.values(), "/console/queues"),
}
_SEEN_NOW: Final = {NO_WORKER.code, *PAUSED.values()}  # without waiting for the workers' next look


class Overview(View):
    """The first page."""

    def __init__(self, frame: Frame, ledger: Ledger) -> None:
        super().__init__(frame)
        self._ledger = ledger

    async def show(self, visit: Visit, _: Scope) -> Response:
        ledger = self._ledger
        standing = await ledger.measures.standing()
        failing = await ledger.receivers.newest(status=ReceiverStatus.FAILING, limit=_RECEIVERS)
        paused = await ledger.receivers.newest(status=ReceiverStatus.PAUSED, limit=_RECEIVERS)
        seen_now = [
            *of_pauses(standing.pauses, self._frame.clock.now()),
            *([] if standing.workers else [NO_WORKER]),
        ]
        found = [_shown(facts_of(one)) for one in seen_now]
        found += [
            _shown(one.facts)
            for one in await ledger.troubles.open()
            if one.facts.get("code") not in _SEEN_NOW
        ]
        values = {
            **queues_view(standing.queues, await ledger.overview.workers(), standing.pauses),
            "callbacks": {status.value: count for status, count in standing.callbacks.items()},
            "findings": sorted(found, key=lambda one: one["severity"])[:_FINDINGS],
            "receivers": [receiver_view(one) for one in (*failing, *paused)],
            "hour": charts(await ledger.measures.minutes()),
            "week": charts(await ledger.measures.hours()),
        }
        return self._frame.page(visit, "overview.html", values)


def _shown(facts: Mapping[str, str]) -> Mapping[str, str]:
    """A finding (`infra.findings`), as far as its record tells, and where it is mended."""
    told = {name: facts.get(name, "") for name in ("severity", "what", "why", "cure")}
    return told | {"page": _PAGES.get(facts.get("code", ""), "")}
