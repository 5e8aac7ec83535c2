"""URLs that come with a payload: guarded in a loop and in a thread, and followed from one to the next."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from handlers import Context
from handlers.http_clients import HTTPClients
from handlers.testing import run
from infra.ledger.records import Retried


async def fetching(context: Context) -> list[Any]:
    answer = await context.fetch(context.payload, headers={"X-Trace": "7"})
    return [answer.status_code, answer.text, str(answer.url)]


def fetching_plain(context: Context) -> list[Any]:
    answer = context.fetch(context.payload, headers={"X-Trace": "7"})
    return [answer.status_code, answer.text, str(answer.url)]


in_both_ways = pytest.mark.parametrize("handler", [fetching, fetching_plain], ids=["async def", "def"])
Handler = Callable[..., Any]


@in_both_ways
def test_an_answer_comes_whole_also_from_where_it_was_moved_to(handler: Handler) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/old":
            return httpx.Response(302, headers={"Location": "/new", "Set-Cookie": "session=1"})
        assert (request.headers["x-trace"], "cookie" in request.headers) == ("7", False)
        return httpx.Response(200, text="here")

    played = HTTPClients(guarded=lambda: httpx.AsyncClient(transport=httpx.MockTransport(answer)))

    assert run(handler, "https://files.example/old", http=played).result == [
        200,
        "here",
        "https://files.example/new",
    ]


@in_both_ways
@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("https://127.0.0.1/", "the address is not a public one"),
        ("https://169.254.169.254/latest/meta-data/", "the address is not a public one"),
        ("http://files.example/", "only https is called"),
        ("https://redis.internal/", "the URL's host is a name of the inner network"),
        ("file:///etc/passwd", "only https URLs are called"),
    ],
)
def test_what_may_not_be_called_is_not(handler: Handler, url: str, words: str) -> None:
    outcome = run(handler, url).outcome

    assert isinstance(outcome, Retried)
    assert outcome.error.type == "URLRefused"
    assert outcome.error.message.startswith(words)
