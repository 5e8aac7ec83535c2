"""Failures by their place in the code; retrying all that was given up there, and watching how that goes."""

import re
from collections.abc import Collection, Mapping
from typing import Any, Final

from starlette.responses import Response
from starlette.types import Scope

from infra.ids import REPLAY, is_id
from infra.ledger import Lists, Pauses, Replays
from infra.ledger.bulk import ReplayStatus, Terms
from infra.ledger.lists import Filter, gather
from infra.ledger.pauses import Held, paused
from infra.ledger.records import JobStatus
from infra.ledger.troubles import FailureGroup, Troubles
from ingest.api.query import query_of
from ingest.console.visit import Act, Frame, View, Visit, already
from ingest.problems import NOT_FOUND, REPLAY_ENDED, Problem
from ingest.views import replay_view

_LOOKED_AT: Final = 1_000  # of the jobs that were given up last
_SHOWN: Final = 25
_REPLAYS: Final = 10
_FRAME: Final = re.compile(r'File "([^"\n]+)", line (\d+)')


class FailureList(View):
    """``/console/failures``."""

    def __init__(self, frame: Frame, troubles: Troubles, replays: Replays, pauses: Pauses) -> None:
        super().__init__(frame)
        self._troubles = troubles
        self._replays = replays
        self._pauses = pauses

    async def show(self, visit: Visit, scope: Scope) -> Response:
        groups = await self._troubles.groups()
        values = {
            "groups": groups[:_SHOWN],
            "more": len(groups[_SHOWN:]),
            "held_back": paused(await self._pauses.all(), Held.HANDLER),
            "replays": [replay_view(one) for one in await self._replays.newest(_REPLAYS)],
            "done": query_of(scope).get("done"),
        }
        return self._frame.page(visit, "failures.html", values)


class RetryGroup(Act):
    """All jobs that one handler gave up with one kind of error in one place, again, a few a second; once, whoever presses meanwhile."""

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
        groups = await self._troubles.groups()
        group = next((one for one in groups if one.id == on), None)
        if group is None:
            raise Problem(NOT_FOUND)
        for replay in await self._replays.newest(_REPLAYS):
            if replay.status is ReplayStatus.RUNNING and replay.filter.get("failures") == group.id:
                return already(f"/console/replays/{replay.id}")
        ids = await self._given_up(group, groups)
        if not ids:
            raise Problem(NOT_FOUND, "None of the jobs that were given up there is still failed.")
        chosen = await self._replays.select(Filter(status=JobStatus.FAILED), ids=ids)
        asked: dict[str, Any] = {"status": "failed", "handler": group.handler, "error": group.type, "place": group.place, "failures": group.id, "ids": len(ids)}  # fmt: skip
        replay_id, is_new = await self._replays.start_once(
            group.id, chosen, self._terms, by=visit.by, asked=asked
        )
        there = f"/console/replays/{replay_id}"
        return there if is_new else already(there)

    async def _given_up(self, group: FailureGroup, groups: Collection[FailureGroup]) -> list[str]:
        """The newest such jobs that are still failed."""
        page = await gather(self._lists.jobs, Filter(status=JobStatus.FAILED), _LOOKED_AT)
        kind = (group.handler, group.type)
        places = {one.place for one in groups if (one.handler, one.type) == kind}
        return [
            job.id
            for job in page.items
            if job.error is not None
            and (job.handler, job.error.type) == kind
            and innermost(job.error.trace, places) == group.place
        ]


def innermost(trace: str, places: Collection[str]) -> str:
    """Which of some places, each ``file:line`` as workers name them, stands innermost in a traceback; empty: none of them.

    >>> trace = 'File "/app/taking.py", line 3, in pushed\\n  File "/app/helping.py", line 7, in help\\nKeyError'
    >>> innermost(trace, ["taking.py:3", "helping.py:7"]), innermost(trace, ["taking.py:3"]), innermost(trace, ["king.py:3"])
    ('helping.py:7', 'taking.py:3', '')
    """
    for name, line in reversed(_FRAME.findall(trace)):
        for place in places:
            file, _, number = place.rpartition(":")
            if number == line and f"/{name}".endswith(f"/{file}"):
                return place
    return ""


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
