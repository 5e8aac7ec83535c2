"""The answer to what was recorded: 202 for a new event, 200 for a duplicate, or the ended job for who waits."""

import json
import re
from typing import Any, Final

from starlette.responses import Response

from infra.ledger import LedgerError, Reading
from infra.ledger.records import TERMINAL_STATUSES, Receipt
from infra.links import Links
from infra.routes import Routes
from infra.signatures import Headers
from ingest.views import job_view
from ingest.watch import Watch

LONGEST_WAIT: Final = 60

_WAIT: Final = re.compile(r"(?:^|[,;\s])wait\s*=\s*([0-9]{1,4})(?:$|[,;\s])", re.ASCII)


def preferred_wait(headers: Headers) -> int:
    """The seconds of ``Prefer: wait=N`` (RFC 7240), at most 60; 0 without.

    >>> preferred_wait(Headers.of({"Prefer": "respond-async, wait=5"})), preferred_wait(Headers.of({"Prefer": "wait=x"}))
    (5, 0)
    """
    found = _WAIT.search(headers.get("prefer") or "")
    return min(int(found[1]), LONGEST_WAIT) if found else 0


class Receipts:
    """Makes those answers."""

    def __init__(self, reading: Reading, watch: Watch, routes: Routes, links: Links) -> None:
        self._reading = reading
        self._watch = watch
        self._routes = routes
        self._links = links

    async def answer(self, receipt: Receipt, *, wait: int, linked: bool) -> Response:
        """The response to one event.

        Args:
            wait: the seconds that the sender would wait for the job's end; 0: it would not.
            linked: whether the sender is trusted enough for a link to the job.
        """
        headers = {}
        if wait > 0:
            headers["Preference-Applied"] = f"wait={wait}"
            if (ended := await self._ended(receipt.job_id, wait)) is not None:
                return _json(200, ended, headers)
        return _json(200 if receipt.duplicate else 202, await self.told(receipt, linked=linked), headers)

    async def told(self, receipt: Receipt, *, linked: bool = True) -> dict[str, Any]:
        """The contract's five fields."""
        told = {
            "event_id": receipt.event_id,
            "job_id": receipt.job_id,
            "status": await self._status(receipt) if receipt.duplicate else receipt.status,
            "duplicate": receipt.duplicate,
        }
        return told | ({"status_url": self._links.status_url(receipt.job_id)} if linked else {})

    async def _status(self, receipt: Receipt) -> str:
        """Where the first event's job stands by now."""
        try:
            job = await self._reading.job(receipt.job_id)
        except LedgerError:
            job = None
        return receipt.status if job is None else job.status

    async def _ended(self, job_id: str, wait: int) -> dict[str, Any] | None:
        """The job, if it ends in time. That it is stored is promised already: no trouble here takes that back."""
        try:
            job = await self._watch.ended(job_id, seconds=wait)
        except LedgerError:
            return None
        if job is None or job.status not in TERMINAL_STATUSES:
            return None
        return job_view(job, await self._routes.find(job.source, job.type))


def _json(status: int, content: dict[str, Any], headers: dict[str, str]) -> Response:
    return Response(json.dumps(content).encode(), status, headers, media_type="application/json")
