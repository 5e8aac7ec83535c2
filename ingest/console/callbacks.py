"""Callbacks and where they go: the lists, one callback with its attempts; redeliver, pause and resume."""

from collections.abc import Mapping
from typing import Final

from starlette.responses import Response
from starlette.types import Scope

from infra.clock import Clock
from infra.ids import CALLBACK, RECEIVER, is_id
from infra.ledger import Callbacks, Lists, Pausing, Reading, Receivers
from infra.ledger.records import CallbackStatus, JobRecord, ReceiverRecord
from ingest.api.query import query_of
from ingest.console.listing import SHOWN, asked
from ingest.console.visit import Act, Frame, View, Visit
from ingest.problems import JOB_OPEN, NOT_FOUND, Problem
from ingest.views import called_view, receiver_view

_RECEIVERS: Final = 100


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
        values = {"callback": called_view(job), "done": query_of(scope).get("done")}
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


class ReceiverList(View):
    """``/console/receivers``; one of them, alone, by its id."""

    def __init__(self, frame: Frame, receivers: Receivers) -> None:
        super().__init__(frame)
        self._receivers = receivers

    async def show(self, visit: Visit, scope: Scope) -> Response:
        if "id" in scope["path_params"]:
            found = [await known_receiver(scope["path_params"]["id"], self._receivers)]
        else:
            found = await self._receivers.newest(limit=_RECEIVERS)
        values = {
            "receivers": [receiver_view(one) for one in found],
            "done": query_of(scope).get("done"),
            "alone": "id" in scope["path_params"],
        }
        return self._frame.page(visit, "receivers.html", values)


class _Steer(Act):
    """What changes one receiver."""

    def __init__(self, frame: Frame, receivers: Receivers, pausing: Pausing) -> None:
        super().__init__(frame)
        self._receivers = receivers
        self._pausing = pausing


class Pause(_Steer):
    """Nothing more is sent to a receiver."""

    act = "pause"

    async def do(self, _: Visit, on: str, __: Mapping[str, str]) -> str:
        receiver = await known_receiver(on, self._receivers)
        await self._pausing.pause(receiver.url)
        return f"/console/receivers/{receiver.id}"


class Resume(_Steer):
    """A receiver is called again, and gets what was withheld meanwhile."""

    act = "resume"

    async def do(self, visit: Visit, on: str, _: Mapping[str, str]) -> str:
        receiver = await known_receiver(on, self._receivers)
        await self._pausing.resume(receiver.url, by=visit.by)
        return f"/console/receivers/{receiver.id}"


async def known_callback(callback_id: str, reading: Reading) -> JobRecord:
    """The job whose callback has that id.

    Raises:
        Problem: 404 where there is none.
    """
    (job,) = await reading.called([callback_id]) if is_id(callback_id, CALLBACK) else [None]
    if job is None:
        raise Problem(NOT_FOUND)
    return job


async def known_receiver(receiver_id: str, receivers: Receivers) -> ReceiverRecord:
    """The receiver with that id.

    Raises:
        Problem: 404 where there is none.
    """
    found = await receivers.receiver(receiver_id) if is_id(receiver_id, RECEIVER) else None
    if found is None:
        raise Problem(NOT_FOUND)
    return found
