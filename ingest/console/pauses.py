"""Holding work back by a button: queues and handlers are paused and resumed, workers drained."""

from collections.abc import Mapping

from infra.ledger import Pauses
from infra.ledger.pauses import Asked, Held
from ingest.console.addresses import own
from ingest.console.visit import Act, Frame, Visit, already
from ingest.problems import NOT_FOUND, Problem


class _Steer(Act):
    """What workers heed.

    Args:
        there: the page that shows what became of it, where the button does not say from which it comes.
    """

    def __init__(self, frame: Frame, pauses: Pauses, there: str) -> None:
        super().__init__(frame)
        self._pauses = pauses
        self._there = there

    async def do(self, visit: Visit, on: str, form: Mapping[str, str]) -> str:
        asked = await self._ask(on, visit.by)
        if asked is Asked.MISSING:
            raise Problem(NOT_FOUND)
        there = own(form["back"]) if "back" in form else self._there
        return there if asked is Asked.NOW else already(there)

    async def _ask(self, name: str, by: str, /) -> Asked:
        """Have it so."""
        raise NotImplementedError


class PauseWork(_Steer):
    """None of its jobs begins any more."""

    def __init__(self, frame: Frame, pauses: Pauses, there: str, kind: Held) -> None:
        super().__init__(frame, pauses, there)
        self.act = f"pause {kind}"
        self._kind = kind

    async def _ask(self, name: str, by: str, /) -> Asked:
        return await self._pauses.pause(self._kind, name, by=by)


class ResumeWork(_Steer):
    """Its jobs run again."""

    def __init__(self, frame: Frame, pauses: Pauses, there: str, kind: Held) -> None:
        super().__init__(frame, pauses, there)
        self.act = f"resume {kind}"
        self._kind = kind

    async def _ask(self, name: str, _: str, /) -> Asked:
        return await self._pauses.resume(self._kind, name)


class DrainWorker(_Steer):
    """A worker takes no further job, and ends."""

    act = "drain worker"

    async def _ask(self, name: str, by: str, /) -> Asked:
        return await self._pauses.drain(name, by=by)
