"""A stand-in for Replicate: predictions that hear one meeting, and tell a webhook, signed as documented.

Source: https://replicate.com/docs/reference/http (predictions.create, rate limits), https://replicate.com/docs/topics/webhooks/verify-webhook.
"""

import asyncio
import json
import secrets
from collections.abc import Iterable
from enum import StrEnum
from typing import Any, Final

import httpx
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from infra.cli.standins.fireflies_meeting import meeting
from infra.clock import Clock, SystemClock, rfc3339
from infra.signatures import providers

API_TOKEN: Final = "r8_stand-in"  # noqa: S105 - opens nothing
_PAUSE_SECONDS: Final = 0.2
_TRIES: Final = 20


class Trouble(StrEnum):
    """What a prediction can be made to meet: the first four when it is started, the others when it runs."""

    THROTTLED = "throttled"
    NO_CREDIT = "no_credit"
    INVALID = "invalid"
    DOWN = "down"
    FAILED = "failed"
    TWICE = "twice"


_REFUSALS: Final = {
    Trouble.THROTTLED: (429, "Too many requests", "Request was throttled. Expected available in 2 seconds."),
    Trouble.NO_CREDIT: (402, "Insufficient credit", "You have insufficient credit to run this model."),
    Trouble.INVALID: (422, "Input validation failed", "- input.audio: Does not match format 'uri'"),
}


class ReplicateStandIn:
    """The server, as an ASGI app, and the predictions that it was asked for.

    Args:
        secret: ``whsec_…``, which its webhooks are signed with.
        listens_for: seconds that a prediction takes.
        troubles: what the first predictions meet, in order; None, and every one after them, goes well.
        transport: what carries the webhooks; httpx's own when left out.
    """

    def __init__(
        self,
        *,
        secret: str,
        listens_for: float = 1.0,
        troubles: Iterable[Trouble | None] = (),
        clock: Clock | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.predictions: dict[str, dict[str, Any]] = {}
        self._secret = secret
        self._listens_for = listens_for
        self._troubles = iter(troubles)
        self._clock = clock or SystemClock()
        self._transport = transport
        self.app = Starlette(
            routes=[
                Route("/v1/predictions", self._create, methods=["POST"]),
                Route("/v1/predictions/{id}", self._get, methods=["GET"]),
            ]
        )

    async def _create(self, request: Request) -> Response:
        if request.headers.get("authorization") != f"Bearer {API_TOKEN}":
            return _problem(401, "Unauthenticated", "You did not pass a valid authentication token")
        trouble = next(self._troubles, None)
        if trouble is Trouble.DOWN:
            return PlainTextResponse("<html>502 Bad Gateway</html>", 502)
        if trouble in _REFUSALS:
            return _problem(*_REFUSALS[trouble])
        asked = await request.json()
        prediction = {
            "id": secrets.token_hex(13),
            "version": asked["version"],
            "input": asked["input"],
            "output": None,
            "error": None,
            "logs": "",
            "status": "starting",
            "created_at": rfc3339(self._clock.now()),
            "urls": {},
        }
        self.predictions[prediction["id"]] = prediction
        return JSONResponse(
            dict(prediction),
            201,
            background=BackgroundTask(self._run, prediction, asked.get("webhook"), trouble),
        )

    async def _get(self, request: Request) -> Response:
        found = self.predictions.get(request.path_params["id"])
        return _problem(404, "Not found", "The requested resource does not exist") if found is None else JSONResponse(found)  # fmt: skip

    async def _run(self, prediction: dict[str, Any], hook: str | None, trouble: Trouble | None) -> None:
        await asyncio.sleep(self._listens_for)
        if trouble is Trouble.FAILED:
            prediction |= {"status": "failed", "error": "the audio can't be decoded"}
        else:
            prediction |= {"status": "succeeded", "output": heard()}
        prediction["completed_at"] = rfc3339(self._clock.now())
        if hook is not None:
            for _ in range(2 if trouble is Trouble.TWICE else 1):
                await self._tell(prediction, hook)

    async def _tell(self, prediction: dict[str, Any], hook: str) -> None:
        """POST the prediction, again with the same id until it is taken."""
        message_id = f"msg_{prediction['id']}"
        body = json.dumps(prediction).encode()
        signer = providers()["replicate"].build_scheme(None, None)
        async with httpx.AsyncClient(transport=self._transport, trust_env=False, timeout=10) as http:
            for _ in range(_TRIES):
                signed = signer.sign_request(
                    body, [signer.key(self._secret)], now=self._clock.now(), message_id=message_id, url=hook
                )
                headers = {"Content-Type": "application/json", **signed.headers}
                try:
                    answer = await http.post(hook, content=signed.body, headers=headers)
                except httpx.TransportError:
                    answer = None
                if answer is not None and answer.is_success:
                    return
                await asyncio.sleep(_PAUSE_SECONDS)


def heard() -> dict[str, Any]:
    """The meeting that the Fireflies stand-in knows, as a Whisper that tells voices apart would hear it."""
    said = meeting()["sentences"]
    segments = [
        {
            "start": one["start_time"],
            "end": one["end_time"],
            "text": f" {one['text']}",
            "speaker": one["speaker_name"],
        }
        for one in said
    ]
    return {
        "segments": segments,
        "transcription": "".join(str(one["text"]) for one in segments),
        "detected_language": "english",
    }


def _problem(status: int, title: str, detail: str) -> Response:
    headers = {"Retry-After": "2"} if status == 429 else None
    return JSONResponse({"title": title, "detail": detail, "status": status}, status, headers)
