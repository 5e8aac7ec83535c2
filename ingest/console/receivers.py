"""Receivers: the list, one of them with its grade and what went there last; check, pause and resume."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from starlette.responses import Response
from starlette.types import Scope

from infra.ids import RECEIVER, is_id
from infra.ledger import Grades, Pausing, Receivers
from infra.ledger.grades import Grade
from infra.ledger.records import JobRecord, ReceiverRecord
from infra.signatures import CallbackSecrets
from ingest.api.query import query_of
from ingest.console.visit import Act, Frame, View, Visit, already
from ingest.problems import NOT_FOUND, Kind, Problem
from ingest.receiver_checks import ReceiverChecks
from ingest.views import called_view, receiver_view
from ingest.views.moments import moment

UNCHECKABLE: Final = Kind(409, "uncheckable", "It can't be checked here.")

_RECEIVERS: Final = 50
_SHOWN, _LOOKED_AT = 20, 300  # callbacks of one, among the newest of all


class ReceiverList(View):
    """``/console/receivers``."""

    def __init__(self, frame: Frame, receivers: Receivers, grades: Grades) -> None:
        super().__init__(frame)
        self._receivers = receivers
        self._grades = grades

    async def show(self, visit: Visit, _: Scope) -> Response:
        found = await self._receivers.newest(limit=_RECEIVERS)
        grades = await self._grades.of([one.id for one in found])
        values = {
            "receivers": [
                receiver_view(one) | _graded(grade) for one, grade in zip(found, grades, strict=True)
            ],
            "most": _RECEIVERS,
        }
        return self._frame.page(visit, "receivers.html", values)


class ReceiverPage(View):
    """``/console/receivers/{id}``."""

    def __init__(self, frame: Frame, receivers: Receivers, grades: Grades, checks: ReceiverChecks) -> None:
        super().__init__(frame)
        self._receivers = receivers
        self._grades = grades
        self._checks = checks

    async def show(self, visit: Visit, scope: Scope) -> Response:
        receiver = await known_receiver(scope["path_params"]["id"], self._receivers)
        (grade,) = await self._grades.of([receiver.id])
        called = await self._receivers.lately_called(receiver.url, most=_SHOWN, among=_LOOKED_AT)
        values = {
            "receiver": receiver_view(receiver) | _graded(grade),
            "probes": grade.probes,
            "callbacks": [called_view(job) for job in called],
            "looked_at": _LOOKED_AT,
            "checkable": bool(self._checks),
            "done": query_of(scope).get("done"),
        }
        return self._frame.page(visit, "receiver.html", values)


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


class CheckReceiver(Act):
    """A receiver gets a good callback and some bad ones, and a grade.

    Args:
        secrets: what callbacks are signed with.
    """

    act = "check"

    def __init__(
        self,
        frame: Frame,
        receivers: Receivers,
        checks: ReceiverChecks,
        *,
        secrets: CallbackSecrets,
    ) -> None:
        super().__init__(frame)
        self._receivers = receivers
        self._checks = checks
        self._secrets = secrets

    async def do(self, _: Visit, on: str, __: Mapping[str, str]) -> str:
        receiver = await known_receiver(on, self._receivers)
        secrets = self._secrets_for(
            await self._receivers.lately_called(receiver.url, most=1, among=_LOOKED_AT)
        )
        if not secrets:
            raise Problem(UNCHECKABLE, "HOOKLINE_CALLBACK_SECRET is not set at this process.")
        if not self._checks:
            raise Problem(UNCHECKABLE, "`hookline callbacks check` does it.")
        page = f"/console/receivers/{receiver.id}"
        return page if await self._checks.begin(receiver.url, secret=secrets[0]) else already(page)

    def _secrets_for(self, called: Sequence[JobRecord]) -> Sequence[str]:
        """What its last callback was signed with."""
        if not called or called[0].callback is None:
            return self._secrets.house
        return self._secrets.of(called[0].source, called[0].callback.secret_of)


async def known_receiver(receiver_id: str, receivers: Receivers) -> ReceiverRecord:
    """The receiver with that id.

    Raises:
        Problem: 404 where there is none.
    """
    found = await receivers.receiver(receiver_id) if is_id(receiver_id, RECEIVER) else None
    if found is None:
        raise Problem(NOT_FOUND)
    return found


def _graded(grade: Grade) -> dict[str, Any]:
    return {
        "grade": grade.grade,
        "graded_at": moment(grade.graded_at),
        "checking_since": moment(grade.checking_since),
    }
