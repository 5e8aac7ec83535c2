"""``/console/audit``: who did what here."""

from typing import Final

from starlette.responses import Response
from starlette.types import Scope

from infra.ledger import Desk
from ingest.console.visit import Frame, View, Visit

_SHOWN: Final = 100


class Audit(View):
    """The newest acts."""

    def __init__(self, frame: Frame, desk: Desk) -> None:
        super().__init__(frame)
        self._desk = desk

    async def show(self, visit: Visit, _: Scope) -> Response:
        return self._frame.page(visit, "audit.html", {"deeds": await self._desk.deeds(_SHOWN)})
