"""A callback inbox for a laptop: takes callbacks, verifies them with the official library, and shows them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from standardwebhooks.webhooks import Webhook, WebhookVerificationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

PATH = "/inbox"


@dataclass(frozen=True, slots=True)
class Arrived:
    """A callback whose signature holds."""

    id: str
    body: dict[str, Any]


def create_inbox(secrets: Sequence[str], show: Callable[[Arrived | str], None]) -> Starlette:
    """The inbox as an ASGI application.

    Args:
        secrets: ``whsec_…``; one that holds is enough.
        show: told what arrived, or in words what was refused.
    """

    async def take(request: Request) -> Response:
        body = await request.body()
        for secret in secrets:
            try:
                told = Webhook(secret).verify(body, dict(request.headers))
            except WebhookVerificationError:
                continue
            show(Arrived(request.headers["webhook-id"], told))
            return Response(status_code=204)
        show("refused a callback: its signature does not hold")
        return Response(status_code=401)

    return Starlette(routes=[Route(PATH, take, methods=["POST"])])
