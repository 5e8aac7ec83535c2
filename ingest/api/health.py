"""``GET /healthz`` for platforms, ``GET /readyz`` for monitors."""

from starlette.requests import Request
from starlette.responses import Response

from infra.ledger import LedgerError
from ingest.api.readiness import Ready
from ingest.replies import json_reply


async def healthz(_: Request) -> Response:
    """The process answers; nothing else is asked."""
    return json_reply({"status": "ok"})


class Readyz:
    """Whether what is acknowledged here is kept and will be run: 200, or 503 with the reasons."""

    def __init__(self, readiness: Ready) -> None:
        self._readiness = readiness

    async def answer(self, _: Request) -> Response:
        """The answer to one probe."""
        try:
            reasons = await self._readiness.reasons()
        except LedgerError:
            reasons = ["Redis does not answer"]
        return json_reply(
            {"status": "unready" if reasons else "ready", "reasons": reasons}, 503 if reasons else 200
        )
