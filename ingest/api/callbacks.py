"""``GET /callbacks/{id}``, ``POST /callbacks/{id}/redeliver`` and ``POST /callbacks/redeliver``."""

from datetime import timedelta
from typing import Any, Final

from starlette.responses import Response
from starlette.types import Receive, Scope

from infra.clock import Clock
from infra.filters import FILTERS
from infra.ids import CALLBACK, is_id
from infra.ledger import Callbacks, Desk, Lists, Reading
from infra.ledger.lists import Filter, gather
from infra.ledger.pausing import RATE
from infra.ledger.records import CallbackStatus, JobRecord
from infra.ledger.selections import MOST, MOST_PAGES
from infra.signatures import Headers
from ingest.api.body import filter_in, is_dry_run, read_object
from ingest.api.endpoint import Endpoint
from ingest.callers import caller
from ingest.keys import Keys
from ingest.problems import INVALID, JOB_OPEN, NOT_FOUND, Problem
from ingest.replies import json_reply
from ingest.views import called_view

_LONGEST: Final = 16 * 1024
_RATES: Final = range(1, 1001)
_ENDED: Final = [status for status in CallbackStatus if status is not CallbackStatus.PENDING]


class ReadCallback(Endpoint):
    """``GET /callbacks/{id}``: one, with its attempts, for a key that may read."""

    methods = ("GET", "HEAD")

    def __init__(self, *, keys: Keys, reading: Reading) -> None:
        self._keys = keys
        self._reading = reading

    async def answer(self, scope: Scope, _: Receive) -> Response:
        self._keys.require(Headers(scope["headers"]), "read")
        return json_reply(called_view(await known_callback(scope["path_params"]["id"], self._reading)))


class RedeliverCallback(Endpoint):
    """``POST /callbacks/{id}/redeliver``: again, now, under the same id, for a key that may operate."""

    methods = ("POST",)

    def __init__(self, *, keys: Keys, callbacks: Callbacks, reading: Reading) -> None:
        self._keys = keys
        self._callbacks = callbacks
        self._reading = reading

    async def answer(self, scope: Scope, _: Receive) -> Response:
        by = self._keys.require(Headers(scope["headers"]), "operate").name
        job = await known_callback(scope["path_params"]["id"], self._reading)
        (pending,) = await self._callbacks.redeliver([job], by=by)
        if not pending:
            raise Problem(JOB_OPEN, "Its callback is made when it ends.")
        return json_reply(called_view(await known_callback(scope["path_params"]["id"], self._reading)))


class RedeliverCallbacks(Endpoint):
    """``POST /callbacks/redeliver``: what a filter finds is counted (`dry_run`), or made again, so many a second.

    For a key that may operate. The waits are in the ledger, so that nobody has to stay and pace them. What is made again is
    noted where the console's acts are.

    Args:
        header: the one in which a proxy says who called.
    """

    methods = ("POST",)

    def __init__(
        self, *, keys: Keys, callbacks: Callbacks, lists: Lists, desk: Desk, header: str | None, clock: Clock
    ) -> None:
        self._keys = keys
        self._callbacks = callbacks
        self._lists = lists
        self._desk = desk
        self._header = header
        self._clock = clock

    async def answer(self, scope: Scope, receive: Receive) -> Response:
        by = self._keys.require(Headers(scope["headers"]), "operate").name
        sent = await read_object(scope, receive, limit=_LONGEST, known=(*FILTERS, "dry_run", "rate"))
        wanted, rate, dry_run = self._wanted(sent), _rate(sent), is_dry_run(sent)
        found = await gather(self._lists.callbacks, wanted, MOST, pages=MOST_PAGES)
        told = {
            "dry_run": dry_run,
            "count": len(found.items),
            "complete": found.next is None,
            "redelivered": 0,
        }
        if found.items and not dry_run:
            on, client = wanted.source or "", caller(scope, self._header)
            await self._desk.note(by=f"{by} (API)", act="redeliver callbacks", on=on, client=client)
            oldest_first = found.items[::-1]
            again = await self._callbacks.redeliver(oldest_first, every=timedelta(seconds=1) / rate, by=by)
            told["redelivered"] = sum(again)
        return json_reply(told)

    def _wanted(self, sent: dict[str, Any]) -> Filter:
        """Where no status is named, the dead letters are meant."""
        words: dict[str, Any] = {"status": CallbackStatus.DEAD}
        words |= {name: sent[name] for name in FILTERS if name in sent}
        wanted = filter_in(words, CallbackStatus, now=self._clock.now())
        if wanted.status not in _ENDED:
            raise Problem(INVALID, f"Needs one of {', '.join(_ENDED)} - at `status`")
        return wanted


def _rate(sent: dict[str, Any]) -> int:
    rate = sent.get("rate", RATE)
    if not isinstance(rate, int) or rate not in _RATES or isinstance(rate, bool):
        raise Problem(INVALID, f"Needs a whole number from 1 to {_RATES[-1]}, a second - at `$.rate`")
    return rate


async def known_callback(callback_id: str, reading: Reading) -> JobRecord:
    """The job whose callback has that id.

    Raises:
        Problem: 404 where there is none.
    """
    (job,) = await reading.called([callback_id]) if is_id(callback_id, CALLBACK) else [None]
    if job is None:
        raise Problem(NOT_FOUND)
    return job
