"""Callbacks: the list, one of them with its attempts; redeliver."""

from collections.abc import Mapping

from starlette.responses import Response
from starlette.types import Scope

from infra.clock import Clock
from infra.ledger import Callbacks, Lists, Reading
from infra.ledger.receivers import receiver_id
from infra.ledger.records import CallbackStatus
from ingest.api.callbacks import known_callback
from ingest.api.query import query_of
from ingest.console.listing import SHOWN, asked
from ingest.console.visit import Act, Frame, View, Visit
from ingest.problems import JOB_OPEN, Problem
from ingest.views import called_view


class CallbackList(View):
    """``/console/callbacks``."""

    def __init__(self, frame: Frame, lists: Lists, clock: Clock) -> None:
        super().__init__(frame)
        self._lists = lists
        self._clock = clock

    async def show(self, visit: Visit, scope: Scope) -> Response:
        wanted = asked(scope, CallbackStatus, now=self._clock.now())
        page = await self._lists.callbacks(wanted.wanted, SHOWN, wanted.after)
        values = {
            "callbacks": [called_view(job) for job in page.items],
            **wanted.values(page.next),
        }
        return self._frame.page(visit, "callbacks.html", values)


class CallbackPage(View):
    """``/console/callbacks/{id}``."""

    def __init__(self, frame: Frame, reading: Reading) -> None:
        super().__init__(frame)
        self._reading = reading

    async def show(self, visit: Visit, scope: Scope) -> Response:
        job = await known_callback(scope["path_params"]["id"], self._reading)
        values = {
            "callback": called_view(job),
            "receiver": None if job.callback is None else receiver_id(job.callback.url),
            "done": query_of(scope).get("done"),
        }
        return self._frame.page(visit, "callback.html", values)


class Redeliver(Act):
    """A callback, again, now, under the same id."""

    act = "redeliver"

    def __init__(self, frame: Frame, reading: Reading, callbacks: Callbacks) -> None:
        super().__init__(frame)
        self._reading = reading
        self._callbacks = callbacks

    async def do(self, visit: Visit, on: str, _: Mapping[str, str]) -> str:
        job = await known_callback(on, self._reading)
        (pending,) = await self._callbacks.redeliver([job], by=visit.by)
        if not pending:
            raise Problem(JOB_OPEN, "Its callback is made when it ends.")
        return f"/console/callbacks/{on}"
