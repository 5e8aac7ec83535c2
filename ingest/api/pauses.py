"""``POST /queues/{name}/pause`` and ``/resume``, the same of ``/handlers/{name}``, and ``POST /workers/{name}/drain``."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope

from infra.ledger import Desk, Pauses
from infra.ledger.pauses import Asked, Held
from infra.signatures import Headers
from ingest.api.endpoint import Endpoint
from ingest.callers import caller
from ingest.keys import Keys
from ingest.problems import NOT_FOUND, Problem
from ingest.replies import json_reply


class Steer(Endpoint):
    """What holds work back, or no longer, for a key that may operate. It is noted where the console's acts are.

    Args:
        header: the one in which a proxy says who called.
        act: as the audit log has it.
        told: how it then stands.
        steer: does it to what has that name, for somebody.
    """

    methods = ("POST",)

    def __init__(
        self,
        keys: Keys,
        desk: Desk,
        header: str | None,
        *,
        act: str,
        told: Mapping[str, Any],
        steer: Callable[[str, str], Awaitable[Asked]],
    ) -> None:
        self._keys = keys
        self._desk = desk
        self._header = header
        self._act = act
        self._told = told
        self._steer = steer

    async def answer(self, scope: Scope, _: Receive) -> Response:
        by = f"{self._keys.require(Headers(scope['headers']), 'operate').name} (API)"
        name = scope["path_params"]["name"]
        await self._desk.note(by=by, act=self._act, on=name, client=caller(scope, self._header))
        asked = await self._steer(name, by)
        if asked is Asked.MISSING:
            raise Problem(NOT_FOUND)
        return json_reply({"name": name, **self._told, "changed": asked is Asked.NOW})


def pause_routes(keys: Keys, desk: Desk, pauses: Pauses, *, header: str | None) -> list[Route]:
    """Where queues and handlers are paused and resumed, and workers drained."""

    def route(
        path: str, act: str, told: Mapping[str, Any], steer: Callable[[str, str], Awaitable[Asked]]
    ) -> Route:
        return Route(path, Steer(keys, desk, header, act=act, told=told, steer=steer))

    def of_kind(kind: Held) -> list[Route]:
        at = f"/{kind}s/{{name}}"
        return [
            route(
                f"{at}/pause",
                f"pause {kind}",
                {"paused": True},
                lambda name, by: pauses.pause(kind, name, by=by),
            ),
            route(
                f"{at}/resume", f"resume {kind}", {"paused": False}, lambda name, _: pauses.resume(kind, name)
            ),
        ]

    drain = route(
        "/workers/{name}/drain",
        "drain worker",
        {"draining": True},
        lambda name, by: pauses.drain(name, by=by),
    )
    return [*of_kind(Held.QUEUE), *of_kind(Held.HANDLER), drain]
