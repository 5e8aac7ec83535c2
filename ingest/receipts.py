"""The answer to what was recorded: 202 for a new event, 200 for a duplicate, or the ended job for who waits."""

import asyncio
import re
from collections.abc import Sequence
from typing import Any, Final

from starlette.responses import Response
from starlette.types import Receive

from infra.ledger import LedgerError
from infra.ledger.records import TERMINAL_STATUSES, Receipt
from infra.links import Links
from infra.routes import Routes
from infra.signatures import Headers
from ingest.intake import while_connected
from ingest.live.watch import Watching
from ingest.replies import json_reply
from ingest.views import job_view

LONGEST_WAIT: Final = 60

_LOOK_SECONDS: Final = 1.0
_WAIT: Final = re.compile(r'(?:^|,)\s*wait\s*=\s*"?([0-9]{1,4})"?\s*(?=$|[,;])', re.ASCII | re.IGNORECASE)


def preferred_wait(headers: Headers) -> int:
    """The seconds of ``Prefer: wait=N`` (RFC 7240), at most 60; 0 without.

    >>> [preferred_wait(Headers.of({"Prefer": text})) for text in ("respond-async, wait=5", "wait=9999", "wait=x")]
    [5, 60, 0]
    """
    found = _WAIT.search(headers.get("prefer") or "")
    return min(int(found[1]), LONGEST_WAIT) if found else 0


def batch_reply(receipts: Sequence[Receipt]) -> Response:
    """The response to a body of several events: 202, or 200 where none of them is new; the ids of each, in their order."""
    told = [
        {"event_id": receipt.event_id, "job_id": receipt.job_id, "duplicate": receipt.duplicate}
        for receipt in receipts
    ]
    return json_reply({"events": told}, 200 if all(receipt.duplicate for receipt in receipts) else 202)


class Receipts:
    """Makes those answers."""

    def __init__(self, watch: Watching, routes: Routes, links: Links) -> None:
        self._watch = watch
        self._routes = routes
        self._links = links

    async def answer(
        self, receipt: Receipt, receive: Receive, *, wait: int, linked: bool, cancelable: bool = False
    ) -> Response:
        """The response to one event.

        Args:
            receive: of the request, whose body was read.
            wait: the seconds that the sender would wait for the job's end; 0: it would not.
            linked: whether the sender is trusted enough for a link to the job.
            cancelable: whether that link may cancel the job.

        Raises:
            ClientGone: it did not wait after all.
        """
        headers = {}
        if wait > 0:
            headers["Preference-Applied"] = f"wait={wait}"
            try:
                ended = await while_connected(receive, self._ended(receipt.job_id, wait))
            except asyncio.CancelledError:
                ended = None  # the server ends; what is stored is acknowledged all the same
            if ended is not None:
                return json_reply(ended, 200, headers)
        return json_reply(
            await self._told(receipt, linked=linked, cancelable=cancelable),
            200 if receipt.duplicate else 202,
            headers,
        )

    async def answer_batch(
        self, receipts: Sequence[Receipt], *, batch_id: str, cancelable: Sequence[bool]
    ) -> Response:
        """The response to several events: 202, and what a single one would have been told, in their order.

        ``Location`` is where the batch can be looked at.
        """
        told = await asyncio.gather(
            *[
                self._told(receipt, linked=True, cancelable=each)
                for receipt, each in zip(receipts, cancelable, strict=True)
            ]
        )
        for receipt, each in zip(receipts, told, strict=True):
            each["batch_id"] = batch_id
            if not receipt.same_body:
                each["code"] = "idempotency_conflict"
        return json_reply(told, 202, {"Location": self._links.batch_url(batch_id)})

    async def _told(self, receipt: Receipt, *, linked: bool, cancelable: bool) -> dict[str, Any]:
        """The contract's five fields; four where there is no link."""
        told: dict[str, Any] = {
            "event_id": receipt.event_id,
            "job_id": receipt.job_id,
            "status": await self._status(receipt) if receipt.duplicate else receipt.status,
            "duplicate": receipt.duplicate,
        }
        if linked:
            told["status_url"] = self._links.status_url(receipt.job_id, cancel=cancelable)
        return told

    async def _status(self, receipt: Receipt) -> str:
        """Where the first event's job stands by now, if that can be had quickly."""
        try:
            async with asyncio.timeout(_LOOK_SECONDS):
                job = await self._watch.job(receipt.job_id)
        except (LedgerError, TimeoutError):
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
        return job_view(job, await self._routes.find(job.source, job.type), operator=False)
