"""Failures by their place in the code; retrying all that was given up there, and watching how that goes."""

from collections.abc import Mapping
from typing import Any, Final

from starlette.responses import Response
from starlette.types import Scope

from infra.ids import REPLAY, is_id
from infra.ledger import Lists, Replays
from infra.ledger.bulk import ReplayStatus, Terms
from infra.ledger.lists import Filter, gather
from infra.ledger.records import JobStatus
from infra.ledger.troubles import FailureGroup, Troubles
from ingest.api.query import query_of
from ingest.console.visit import Act, Frame, View, Visit
from ingest.problems import NOT_FOUND, REPLAY_ENDED, Problem
from ingest.views import replay_view

_LOOKED_AT: Final = 1_000  # of the jobs that were given up last
_SHOWN: Final = 50
_REPLAYS: Final = 10


class FailureList(View):
    """``/console/failures``."""

    def __init__(self, frame: Frame, troubles: Troubles, replays: Replays) -> None:
        super().__init__(frame)
        self._troubles = troubles
        self._replays = replays

    async def show(self, visit: Visit, scope: Scope) -> Response:
        groups = await self._troubles.groups()
        values = {
            "groups": groups[:_SHOWN],
            "replays": [replay_view(one) for one in await self._replays.newest(_REPLAYS)],
            "done": query_of(scope).get("done"),
        }
        return self._frame.page(visit, "failures.html", values)


class RetryGroup(Act):
    """All jobs that one handler gave up with one kind of error, again, a few a second."""

    act = "retry all"

    def __init__(
        self, frame: Frame, troubles: Troubles, lists: Lists, replays: Replays, *, queue: str
    ) -> None:
        super().__init__(frame)
        self._troubles = troubles
        self._lists = lists
        self._replays = replays
        self._terms = Terms(queue=queue)

    async def do(self, visit: Visit, on: str, _: Mapping[str, str]) -> str:
        group = next((one for one in await self._troubles.groups() if one.id == on), None)
        if group is None:
            raise Problem(NOT_FOUND)
        ids = await self._given_up(group)
        if not ids:
            raise Problem(NOT_FOUND, "None of the jobs that were given up there is still failed.")
        chosen = await self._replays.select(Filter(status=JobStatus.FAILED), ids=ids)
        asked: dict[str, Any] = {"status": "failed", "handler": group.handler, "error": group.type, "ids": len(ids)}  # fmt: skip
        return f"/console/replays/{await self._replays.start(chosen, self._terms, by=visit.by, asked=asked)}"

    async def _given_up(self, group: FailureGroup) -> list[str]:
        """The newest such jobs that are still failed."""
        page = await gather(self._lists.jobs, Filter(status=JobStatus.FAILED), _LOOKED_AT)
        return [
            job.id
            for job in page.items
            if job.handler == group.handler and job.error is not None and job.error.type == group.type
        ]


class ReplayPage(View):
    """``/console/replays/{id}``: how far a bulk replay is."""

    def __init__(self, frame: Frame, replays: Replays) -> None:
        super().__init__(frame)
        self._replays = replays

    async def show(self, visit: Visit, scope: Scope) -> Response:
        replay_id = scope["path_params"]["id"]
        replay = await self._replays.replay(replay_id) if is_id(replay_id, REPLAY) else None
        if replay is None:
            raise Problem(NOT_FOUND)
        values = {
            "replay": replay_view(replay),
            "over": replay.status is not ReplayStatus.RUNNING,
            "done": query_of(scope).get("done"),
        }
        return self._frame.page(visit, "replay.html", values)


class StopReplay(Act):
    """A bulk replay begins no further job."""

    act = "stop"

    def __init__(self, frame: Frame, replays: Replays) -> None:
        super().__init__(frame)
        self._replays = replays

    async def do(self, visit: Visit, on: str, _: Mapping[str, str]) -> str:
        replay = await self._replays.replay(on) if is_id(on, REPLAY) else None
        if replay is None:
            raise Problem(NOT_FOUND)
        if not await self._replays.halt(replay.id, by=visit.by):
            raise Problem(REPLAY_ENDED)
        return f"/console/replays/{replay.id}"
