"""``/console/``: whether anything is lost, late or failing, and what to do about it."""

from collections.abc import Mapping
from typing import Final

from starlette.responses import Response
from starlette.types import Scope

from infra.findings import NO_WORKER
from infra.ledger import Ledger
from infra.ledger.records import ReceiverStatus
from infra.ledger.troubles import Trouble
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
}


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
        troubles = await ledger.troubles.open()
        found = [_finding(trouble) for trouble in troubles]
        if not standing.workers and all(one["what"] != NO_WORKER.what for one in found):
            told = (NO_WORKER.severity, NO_WORKER.what, NO_WORKER.why, NO_WORKER.cure, "")
            found.append(dict(zip(("severity", "what", "why", "cure", "page"), told, strict=True)))
        values = {
            **queues_view(standing.queues, await ledger.overview.workers()),
            "callbacks": {status.value: count for status, count in standing.callbacks.items()},
            "findings": sorted(found, key=lambda one: one["severity"])[:_FINDINGS],
            "receivers": [receiver_view(one) for one in (*failing, *paused)],
            "hour": charts(await ledger.measures.minutes()),
            "week": charts(await ledger.measures.hours()),
        }
        return self._frame.page(visit, "overview.html", values)


def _finding(trouble: Trouble) -> Mapping[str, str]:
    """What the workers found at their last look (`infra.findings`), as far as the record tells, and where it is mended."""
    told = {name: trouble.facts.get(name, "") for name in ("severity", "what", "why", "cure")}
    return told | {"page": _PAGES.get(trouble.facts.get("code", ""), "")}
