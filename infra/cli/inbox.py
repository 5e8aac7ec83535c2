"""A callback inbox for a laptop: takes callbacks, verifies them with the official library, and shows them."""

from collections.abc import Callable, Mapping, Sequence
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


def verified(secrets: Sequence[str], headers: Mapping[str, str], body: bytes) -> Arrived | str:
    """What arrived, or in words what is to be refused.

    Args:
        secrets: ``whsec_…``; one that holds is enough.
        headers: names in lower case.
    """
    for secret in secrets:
        try:
            told = Webhook(secret).verify(body, dict(headers))
        except WebhookVerificationError:
            continue
        return Arrived(headers["webhook-id"], told)
    return "refused a callback: its signature does not hold"


def create_inbox(secrets: Sequence[str], show: Callable[[Arrived | str], None]) -> Starlette:
    """The inbox as an ASGI application.

    Args:
        show: told what arrived, or in words what was refused.
    """

    async def take(request: Request) -> Response:
        told = verified(secrets, request.headers, await request.body())
        show(told)
        return Response(status_code=204 if isinstance(told, Arrived) else 401)

    return Starlette(routes=[Route(PATH, take, methods=["POST"])])
