"""The stand-ins for Replicate and for embeddings: what they send is what the documented services send."""

import asyncio
import json
from typing import Any

import httpx
import pytest
from standardwebhooks.webhooks import Webhook

from infra.cli.standins import embeddings, replicate
from infra.cli.standins.replicate import ReplicateStandIn, Trouble
from infra.signatures import new_whsec

SECRET = new_whsec(lambda size: b"k" * size)
ASKED = {
    "version": "v",
    "input": {"audio": "https://a.example/1.mp3"},
    "webhook": "https://hooks.example/hooks/replicate",
}


def told(trouble: Trouble | None, *answers: int) -> list[httpx.Request]:
    """The webhooks that follow a prediction, when the receiver answers so."""
    heard: list[httpx.Request] = []

    def receive(request: httpx.Request) -> httpx.Response:
        heard.append(request)
        return httpx.Response(answers[len(heard) - 1] if len(heard) <= len(answers) else 202)

    stand_in = ReplicateStandIn(
        secret=SECRET, listens_for=0, troubles=[trouble], transport=httpx.MockTransport(receive)
    )
    headers = {"Authorization": f"Bearer {replicate.API_TOKEN}"}
    asyncio.run(post(stand_in.app, "/v1/predictions", ASKED, headers))
    return heard


async def post(app: Any, path: str, body: Any, headers: dict[str, str]) -> httpx.Response:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://there") as http:
        return await http.post(path, json=body, headers=headers)


@pytest.mark.parametrize(("trouble", "status"), [(None, "succeeded"), (Trouble.FAILED, "failed")])
def test_a_prediction_tells_its_webhook_how_it_ended_and_the_official_library_believes_it(
    trouble: Trouble | None, status: str
) -> None:
    (request,) = told(trouble)
    prediction = Webhook(SECRET).verify(request.content, dict(request.headers))
    assert prediction["status"] == status
    assert bool(prediction["output"]) == (status == "succeeded")


def test_a_webhook_that_is_not_taken_comes_again_with_its_id() -> None:
    first, second = told(None, 503)
    assert first.headers["webhook-id"] == second.headers["webhook-id"]


@pytest.mark.parametrize(
    ("path", "app"),
    [
        ("/v1/predictions", ReplicateStandIn(secret=SECRET).app),
        ("/v1/embeddings", embeddings.EmbeddingsStandIn().app),
    ],
)
def test_without_the_token_nothing_is_done(path: str, app: Any) -> None:
    assert asyncio.run(post(app, path, {}, {})).status_code == 401


@pytest.mark.parametrize("texts", [[], [""]])
def test_texts_that_are_none_are_refused(texts: list[str]) -> None:
    headers = {"Authorization": f"Bearer {embeddings.API_KEY}"}
    answer = asyncio.run(
        post(embeddings.EmbeddingsStandIn().app, "/v1/embeddings", {"model": "m", "input": texts}, headers)
    )
    assert answer.status_code == 400
    assert json.loads(answer.text)["error"]["type"] == "invalid_request_error"


def test_texts_with_words_in_common_lie_closer() -> None:
    launch, same, other = map(
        embeddings.vector_of, ("the launch moves to May", "the launch moves to June", "rain on a window")
    )
    assert sum(a * b for a, b in zip(launch, same, strict=True)) > sum(
        a * b for a, b in zip(launch, other, strict=True)
    )
