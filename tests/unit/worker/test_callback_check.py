"""The grade of a receiver, over receivers of every kind."""

import asyncio
import base64
import hashlib
import hmac
from collections.abc import Awaitable, Callable
from datetime import timedelta
from ipaddress import ip_network

import httpx
import pytest
from standardwebhooks import Webhook, WebhookVerificationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from infra.clock import SystemClock
from infra.egress import EgressPolicy, GuardedTransport
from tests.unit.worker.test_callback_deliver import Behaviour, Receiver, answer, hang
from worker.callbacks import check as module
from worker.callbacks.check import Check, Verdict, grade

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
Inbox = Callable[[Request], Awaitable[int]]


async def careful(request: Request) -> int:
    """What docs/receive-callbacks.md tells people to do."""
    try:
        Webhook(SECRET).verify(await request.body(), dict(request.headers))
    except (WebhookVerificationError, ValueError):
        return 401
    return 204


async def credulous(_: Request) -> int:
    return 200


async def superficial(request: Request) -> int:
    """Looks whether there is a signature."""
    return 200 if "webhook-signature" in request.headers else 401


async def timeless(request: Request) -> int:
    """Verifies the signature and not the time."""
    body, headers = await request.body(), request.headers
    content = f"{headers.get('webhook-id')}.{headers.get('webhook-timestamp')}.{body.decode()}"
    expected = _signature(content)
    return 204 if expected in headers.get("webhook-signature", "") else 401


def _signature(content: str) -> str:

    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    return "v1," + base64.b64encode(hmac.digest(key, content.encode(), hashlib.sha256)).decode()


class Conflicting:
    """Answers 409 to what it has seen."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox
        self._seen: set[str | None] = set()

    async def __call__(self, request: Request) -> int:
        status = await self._inbox(request)
        if status >= 300:
            return status
        message_id = request.headers.get("webhook-id")
        known, _ = message_id in self._seen, self._seen.add(message_id)
        return 409 if known else status


async def refusing(_: Request) -> int:
    return 500


def verdicts_of(inbox: Inbox) -> list[Verdict]:
    async def endpoint(request: Request) -> Response:
        return Response(status_code=await inbox(request))

    app = Starlette(routes=[Route("/inbox", endpoint, methods=["POST"])])

    async def checking() -> list[Verdict]:
        check = Check(
            lambda: httpx.ASGITransport(app=app),
            secret=SECRET, clock=SystemClock(), timeout=timedelta(seconds=5),
        )  # fmt: skip
        return await check.run("http://receiver.example/inbox")

    return asyncio.run(checking())


@pytest.mark.parametrize(
    ("inbox", "expected", "faults"),
    [
        (careful, "A", set()),
        (credulous, "F", {"unsigned", "forged", "changed", "stale"}),
        (superficial, "F", {"forged", "changed", "stale"}),
        (timeless, "C", {"stale"}),
        (Conflicting(careful), "C", {"repeated"}),
        (Conflicting(timeless), "D", {"repeated", "stale"}),
    ],
    ids=["careful", "credulous", "superficial", "timeless", "conflicting", "both"],
)
def test_a_receiver_is_graded_by_what_it_takes(inbox: Inbox, expected: str, faults: set[str]) -> None:
    verdicts = verdicts_of(inbox)
    assert {verdict.probe for verdict in verdicts if verdict.grade > "B"} == faults
    assert grade(verdicts) == expected
    assert len(verdicts) == 7


def test_a_receiver_that_refuses_what_is_right_is_asked_no_more() -> None:
    assert [(verdict.probe, verdict.answer, verdict.grade) for verdict in verdicts_of(refusing)] == [
        ("good", "500", "F")
    ]


# -- over the network --------------------------------------------------------------------------------------------------


def verdicts_from(*behaviours: Behaviour, seconds: float = 5.0) -> tuple[list[Verdict], Receiver]:
    """What comes of a check through the guarded transport, and the receiver that it met."""

    async def checking() -> tuple[list[Verdict], Receiver]:
        async with Receiver(*behaviours).running() as receiver:
            policy = EgressPolicy(allow=(ip_network("127.0.0.1/32"),))
            check = Check(
                lambda: GuardedTransport(policy),
                secret=SECRET, clock=SystemClock(), timeout=timedelta(seconds=seconds),
            )  # fmt: skip
            return await check.run(receiver.url), receiver

    return asyncio.run(checking())


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DRIP", timedelta(milliseconds=80))


@pytest.mark.usefixtures("hurried")
def test_a_repetition_has_the_id_of_what_it_repeats_and_nothing_else_has() -> None:
    _, receiver = verdicts_from(answer("200 OK"))
    ids = [headers.get("webhook-id") for headers, _ in receiver.received]
    assert ids[0] == ids[1]
    assert ids[2] is None
    assert len(set(ids)) == 6


@pytest.mark.usefixtures("hurried")
def test_a_slow_body_arrives_whole_and_late() -> None:
    verdicts, receiver = verdicts_from(answer("200 OK"))
    assert verdicts[-1].duration >= module.DRIP
    assert receiver.received[-1][1].endswith(b'"status_url":null}}')


@pytest.mark.usefixtures("hurried")
def test_a_receiver_that_needs_too_long_is_no_better_than_b(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PROMPT", timedelta(0))
    good = verdicts_from(answer("200 OK"))[0][0]
    assert good.grade == "B"
    assert "to answer" in good.words


def test_where_nobody_answers_there_is_no_more_to_ask() -> None:
    verdicts, receiver = verdicts_from(hang, seconds=0.2)
    assert [(verdict.probe, verdict.grade) for verdict in verdicts] == [("good", "F")]
    assert len(receiver.received) == 1


@pytest.mark.parametrize("url", ["https://10.0.0.1/inbox", "http://127.0.0.1/inbox", "nonsense"])
def test_an_address_that_may_not_be_called_gets_nothing(url: str) -> None:
    check = Check(
        lambda: GuardedTransport(EgressPolicy()),
        secret=SECRET,
        clock=SystemClock(),
        timeout=timedelta(seconds=1),
    )
    (verdict,) = asyncio.run(check.run(url))
    assert (verdict.grade, verdict.words) == ("F", "may not be called")
