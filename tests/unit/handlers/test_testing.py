from datetime import timedelta
from typing import Any

import httpx
import pytest

from handlers import Context, Reject, RetryLater
from handlers.http_clients import HTTPClients
from handlers.registry import Registry
from handlers.testing import START, run, signed
from infra.clock import ManualClock
from infra.ledger.records import Failed, Ignored, Retried
from infra.signatures import Headers, Scheme, SchemeError, SignedRequest, providers


def test_a_run_shows_result_progress_and_logs() -> None:
    def work(context: Context) -> dict[str, object]:
        context.progress(1, 2, "half")
        context.log.info("working")
        return {"source": context.event.source, "payload": context.payload}

    done = run(work, {"id": 7}, source="acme")

    assert done.result == {"source": "acme", "payload": {"id": 7}}
    assert [report.message for report in done.progress] == ["half"]
    assert done.logs == [("info", "working")]


def test_a_declared_handler_runs_as_declared() -> None:
    registry = Registry()

    @registry.handler("acme", "order.paid", max_attempts=1)
    def strict(context: Context) -> str:
        if context.payload == "fail":
            raise ValueError("broken")
        return f"{context.event.source} {context.event.type}"

    assert run(strict, {}, registry=registry).result == "acme order.paid"
    assert isinstance(run(strict, "fail", registry=registry).outcome, Failed)
    assert isinstance(run(strict, {}, registry=registry, type="order.lost").outcome, Ignored)


def test_the_clock_moves_between_attempts() -> None:
    clock = ManualClock(START)

    async def patient(context: Context) -> float:
        if context.now() < START + timedelta(minutes=3):
            raise RetryLater("90s", count=False)
        return context.attempt

    first = run(patient, {}, clock=clock)
    third = first.again().again()

    assert isinstance(first.outcome, Retried)
    assert third.result == 1
    assert clock.now() == START + timedelta(minutes=3)


def test_an_uncounted_wait_ends_after_seven_days() -> None:
    async def stubborn(context: Context) -> None:
        raise RetryLater("40h", "not yet", count=False)

    attempts = [run(stubborn, {}, metadata={})]
    while isinstance(attempts[-1].outcome, Retried):
        attempts.append(attempts[-1].again())

    assert len(attempts) == 5 + 5  # five within seven days, then the five that count
    assert attempts[-1].outcome.error.type == "RetryLater"  # type: ignore[union-attr]


def test_a_result_that_is_none_says_why() -> None:
    def refuse(context: Context) -> None:
        raise Reject("no such order")

    refused = run(refuse, {})

    with pytest.raises(AssertionError, match="no such order"):
        _ = refused.result
    with pytest.raises(AssertionError, match="nothing follows"):
        refused.again()


def test_the_network_can_be_played() -> None:
    async def ask(context: Context) -> int:
        return (await context.http.get("https://api.example.com/")).status_code

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(204)

    http = HTTPClients(asynchronous=lambda: httpx.AsyncClient(transport=httpx.MockTransport(answer)))

    assert run(ask, {}, http=http).result == 204


def test_bytes_go_as_they_are() -> None:
    assert run(lambda context: context.payload, b"a=b", content_type="text/plain").result == "a=b"


@pytest.mark.parametrize(
    ("provider", "secret", "words"),
    [
        ("fireflies", "0123456789abcdef", {}),
        ("github", "It's a Secret to Everybody", {"headers": {"X-GitHub-Event": "push"}}),
        ("standard-webhooks", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", {}),
        ("make", "key-of-a-scenario", {}),
        ("make", "key-of-a-scenario", {"scheme": "hmac"}),
        ("bearer", "a-long-enough-token", {}),
    ],
)
def test_a_signed_request_holds(provider: str, secret: str, words: dict) -> None:
    request = signed(provider, {"id": 7}, secret=secret, clock=ManualClock(START), **words)

    scheme = providers()[provider].build_scheme(words.get("scheme"))
    got = SignedRequest(url=str(request.url), headers=Headers(request.headers.raw), body=request.content)
    scheme.verify(got, [scheme.key(secret)], START)
    assert request.headers["content-type"] == "application/json"
    assert str(request.url) == f"http://localhost:8000/hooks/{provider}"
    assert all(request.headers[name] == value for name, value in words.get("headers", {}).items())


SHARED_KEYS = [
    (provider.name, scheme)
    for provider in providers().values()
    for scheme, parameters in provider.schemes.items()
    if not provider.parameters
    and (
        parameters["family"] in ("hmac", "keyed-hash", "static", "url-secret", "body", "none")
        or parameters.get("algorithm") == "HS256"
    )
]
SECRETS = ("user:password", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "0123456789abcdef")
PAYLOADS: dict[str, Any] = {
    "adyen": {"notificationItems": [{"NotificationRequestItem": {"pspReference": "1"}}]},
    "microsoft-graph": {"value": [{"id": "1"}]},
    "mailgun": {"event-data": {"id": "1"}},
    "linear": {"webhookTimestamp": int(START.timestamp() * 1000)},
}


@pytest.mark.parametrize(("provider", "scheme"), SHARED_KEYS)
def test_whoever_has_the_secret_can_sign_as_the_provider_does(provider: str, scheme: str) -> None:
    signer = providers()[provider].build_scheme(scheme)
    secret = next(secret for secret in SECRETS if _suits(signer, secret))

    request = signed(
        provider, PAYLOADS.get(provider, {"id": 7}), secret=secret, scheme=scheme, clock=ManualClock(START)
    )

    got = SignedRequest(
        url=str(request.url),
        query=request.url.query,
        headers=Headers(request.headers.raw),
        body=request.content,
    )
    signer.verify(got, [signer.key(secret)], START)


def _suits(scheme: Scheme, secret: str) -> bool:
    try:
        scheme.key(secret)
    except SchemeError:
        return False
    return True
