"""Fetched keys: from pinned addresses only, once for many requests, and never more often than a stranger may make us."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from infra.clock import ManualClock
from infra.egress import URLRefused
from infra.signatures import (
    FetchError,
    Headers,
    HTTPFetcher,
    PublishedKeys,
    SchemeError,
    SignatureError,
    SignatureMalformed,
    SignatureMismatch,
    SignatureMissing,
    SignedRequest,
    providers,
)
from infra.signatures.key_fetching import FETCHES_A_MINUTE, FRESH_SECONDS, LARGEST_DOCUMENT, MOST_DOCUMENTS
from infra.signatures.keys import read_asymmetric_key
from infra.signatures.published import certificate_key, published_key

NOW = datetime(2026, 11, 21, 20, 41, 11, tzinfo=UTC)
URL = "https://hooks.example.com/hooks/google-pubsub"
EMAIL = "push@project.iam.gserviceaccount.com"
PUBSUB = providers()["google-pubsub"].build_scheme()
SNS = providers()["aws-sns"].build_scheme()
PAYPAL = providers()["paypal"].build_scheme()
PLAID = providers()["plaid"].build_scheme()
RSA = rsa.generate_private_key(65537, 2048)
TOPIC = "arn:aws:sns:us-east-1:123456789012:orders"


def jwk(key_id: str, **more: Any) -> dict[str, Any]:
    return {**json.loads(RSAAlgorithm.to_jwk(RSA.public_key())), "kid": key_id, "use": "sig"} | more


def jwks(*keys: Any) -> bytes:
    return json.dumps({"keys": keys}).encode()


def pushed(key_id: str, **claims: Any) -> SignedRequest:
    said = {
        "iss": "https://accounts.google.com",
        "aud": URL,
        "email": EMAIL,
        "email_verified": True,
        "exp": int(NOW.timestamp()) + 60,
    }
    token = jwt.encode(said | claims, RSA, "RS256", headers={"kid": key_id})
    return SignedRequest(url=URL, headers=Headers.of({"Authorization": f"Bearer {token}"}), body=b"{}")


class Documents:
    """A `Fetcher` that has some documents, and counts."""

    def __init__(self, *documents: bytes | None) -> None:
        self.documents = list(documents)
        self.fetched: list[tuple[str, bytes | None]] = []
        self.gate: asyncio.Event | None = None

    async def fetch(self, url: str, question: bytes | None = None) -> bytes:
        self.fetched.append((url, question))
        if self.gate is not None:
            await self.gate.wait()
        document = self.documents.pop(0) if len(self.documents) > 1 else self.documents[0]
        if document is None:
            raise FetchError("gone")
        return document

    async def aclose(self) -> None:
        pass


def run(
    documents: Documents, test: Callable[[PublishedKeys, ManualClock], Coroutine[Any, Any, None]]
) -> None:
    clock = ManualClock(NOW)
    keys = PublishedKeys(documents, clock)

    async def scenario() -> None:
        await test(keys, clock)
        await keys.stop()

    asyncio.run(scenario())


KEY = [PUBSUB.key(EMAIL)]


def test_a_key_set_is_fetched_once_and_again_when_it_is_old() -> None:
    documents = Documents(jwks(jwk("k1")))

    async def test(keys: PublishedKeys, clock: ManualClock) -> None:
        for _ in range(3):
            published = await keys.for_request(PUBSUB, pushed("k1"), KEY)
            PUBSUB.verify(pushed("k1"), KEY, NOW, published)
        assert documents.fetched == [("https://www.googleapis.com/oauth2/v3/certs", None)]
        clock.advance(timedelta(seconds=FRESH_SECONDS + 1))
        await keys.for_request(PUBSUB, pushed("k1"), KEY)
        assert len(documents.fetched) == 2

    run(documents, test)


def test_requests_that_come_together_share_a_fetch() -> None:
    documents = Documents(jwks(jwk("k1")))

    async def test(keys: PublishedKeys, _: ManualClock) -> None:
        documents.gate = asyncio.Event()
        asking = [asyncio.create_task(keys.for_request(PUBSUB, pushed("k1"), KEY)) for _ in range(20)]
        await asyncio.sleep(0)
        asking[0].cancel()  # a client that goes away takes nobody along
        documents.gate.set()
        answers = await asyncio.gather(*asking, return_exceptions=True)
        assert [answer for answer in answers[1:] if answer != jwks(jwk("k1"))] == []
        assert len(documents.fetched) == 1

    run(documents, test)


def test_a_new_key_is_found_and_a_made_up_one_does_not_make_us_ask_without_end() -> None:
    documents = Documents(jwks(jwk("k1")), jwks(jwk("k1"), jwk("k2")))

    async def test(keys: PublishedKeys, clock: ManualClock) -> None:
        await keys.for_request(PUBSUB, pushed("k1"), KEY)
        PUBSUB.verify(pushed("k2"), KEY, NOW, await keys.for_request(PUBSUB, pushed("k2"), KEY))
        for number in range(50):
            published = await keys.for_request(PUBSUB, pushed(f"made-up-{number}"), KEY)
            with pytest.raises(SignatureMismatch):
                PUBSUB.verify(pushed(f"made-up-{number}"), KEY, NOW, published)
        assert len(documents.fetched) == FETCHES_A_MINUTE
        assert await keys.for_request(PUBSUB, pushed("k1"), KEY) is not None
        clock.advance(timedelta(seconds=61))
        await keys.for_request(PUBSUB, pushed("made-up"), KEY)
        assert len(documents.fetched) == FETCHES_A_MINUTE + 1

    run(documents, test)


def test_what_could_not_be_had_is_not_asked_for_again_at_once_and_what_is_old_serves_meanwhile() -> None:
    async def never(keys: PublishedKeys, clock: ManualClock) -> None:
        for _ in range(5):
            published = await keys.for_request(PUBSUB, pushed("k1"), KEY)
            with pytest.raises(SignatureMissing):
                PUBSUB.verify(pushed("k1"), KEY, NOW, published)
        assert len(gone.fetched) == 1
        clock.advance(timedelta(seconds=61))
        await keys.for_request(PUBSUB, pushed("k1"), KEY)
        assert len(gone.fetched) == 2

    async def later(keys: PublishedKeys, clock: ManualClock) -> None:
        await keys.for_request(PUBSUB, pushed("k1"), KEY)
        clock.advance(timedelta(hours=2))
        assert await keys.for_request(PUBSUB, pushed("k1"), KEY) == jwks(jwk("k1"))
        clock.advance(timedelta(hours=23))
        assert await keys.for_request(PUBSUB, pushed("k1"), KEY) is None

    gone = Documents(None)
    run(gone, never)
    run(Documents(jwks(jwk("k1")), None), later)


def test_what_is_kept_is_bounded() -> None:
    async def test(keys: PublishedKeys, clock: ManualClock) -> None:
        for number in range(MOST_DOCUMENTS + 20):
            clock.advance(timedelta(seconds=10))
            body = message(SigningCertURL=f"https://sns.us-east-1.amazonaws.com/{number}.pem")
            await keys.for_request(SNS, SignedRequest(headers=Headers(), body=body), [SNS.key(TOPIC)])
        assert len(keys._entries) == MOST_DOCUMENTS

    run(Documents(b"x"), test)


def message(**more: str) -> bytes:
    return json.dumps({"Type": "Notification", "TopicArn": TOPIC} | more).encode()


@pytest.mark.parametrize(
    "url",
    [
        "http://sns.us-east-1.amazonaws.com/a.pem",
        "https://sns.us-east-1.amazonaws.com.evil.example/a.pem",
        "https://evil.example/sns.us-east-1.amazonaws.com/a.pem",
        "https://sns.us-east-1.amazonaws.com@evil.example/a.pem",
        "https://sns.us-east-1.amazonaws.com:8443/a.pem",
        "https://sns.us-east-1.amazonaws.com/a.pem?x=.pem",
        "https://sns.us-east-1.amazonaws.com/../a.pem",
        "https://sns.us-east-1.amazonaws.com/a.pem\n",
        "https://bucket.s3.amazonaws.com/a.pem",
        "",
    ],
)
def test_a_certificate_that_stands_elsewhere_is_not_fetched(url: str) -> None:
    sns = SignedRequest(headers=Headers(), body=message(SigningCertURL=url))
    with pytest.raises(SignatureMalformed):
        SNS.wanted_keys(sns, [SNS.key(TOPIC)])
    url = url.replace("sns.us-east-1.amazonaws.com", "api.paypal.com").replace(
        "/a.pem", "/v1/notifications/certs/A"
    )
    paypal = SignedRequest(headers=Headers([(b"paypal-cert-url", url.encode())]), body=b"{}")
    with pytest.raises(SignatureMalformed):
        PAYPAL.wanted_keys(paypal, [PAYPAL.key("4JH86294D6297924G")])


def test_a_topic_that_is_not_trusted_makes_us_fetch_nothing() -> None:
    body = message(TopicArn=TOPIC + "2", SigningCertURL="https://sns.us-east-1.amazonaws.com/a.pem")
    with pytest.raises(SignatureMismatch):
        SNS.wanted_keys(SignedRequest(headers=Headers(), body=body), [SNS.key(TOPIC)])


def test_a_key_of_the_secrets_own_needs_no_fetch() -> None:
    pem = RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    keys = [PUBSUB.key(f"{EMAIL}\n{pem}")]
    assert PUBSUB.wanted_keys(pushed("k1"), keys) is None
    PUBSUB.verify(pushed("k1"), keys, NOW)
    with pytest.raises(SignatureMismatch):
        PUBSUB.verify(pushed("k1", email="other@project.iam.gserviceaccount.com"), keys, NOW)


def test_plaid_is_asked_for_the_key_of_the_token() -> None:
    token = jwt.encode({"iat": 1}, ec.generate_private_key(ec.SECP256R1()), "ES256", headers={"kid": "k-1"})
    request = SignedRequest(headers=Headers.of({"Plaid-Verification": token}), body=b"{}")
    wanted = PLAID.wanted_keys(request, [PLAID.key("client:secret")])
    assert wanted is not None
    assert json.loads(wanted.question or b"") == {"client_id": "client", "secret": "secret", "key_id": "k-1"}
    assert "secret" not in repr(wanted)


@pytest.mark.parametrize(
    "document", [b"", b"[]", b"{", b'{"keys": 1}', b'{"keys": [1, {"kid": "k1"}]}', b"[" * 9999]
)
def test_a_document_that_can_not_be_read_holds_no_key(document: bytes) -> None:
    with pytest.raises(SignatureMismatch):
        published_key(document, "k1", NOW)
    with pytest.raises(SignatureError):
        certificate_key(document, name_ends=".amazonaws.com", now=NOW)


def test_a_key_that_has_expired_or_is_for_something_else_does_not_count() -> None:
    earlier = int(NOW.timestamp()) - 1
    assert published_key(jwks(jwk("k1", expired_at=None)), "k1", NOW)
    for document in (jwks(jwk("k1", expired_at=earlier)), jwks(jwk("k1", use="enc"))):
        with pytest.raises(SignatureMismatch):
            published_key(document, "k1", NOW)


def test_keys_that_are_weak_or_of_another_kind_are_refused_at_start() -> None:
    weak = rsa.generate_private_key(65537, 1024).public_key()
    curve = ec.generate_private_key(ec.SECP384R1()).public_key()
    for key in (weak, curve):
        with pytest.raises(SchemeError):
            read_asymmetric_key(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode())
    p256 = json.dumps(json.loads(ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256R1()).public_key())))
    with pytest.raises(SchemeError, match="ed25519"):
        providers()["discord"].build_scheme().key(p256)
    with pytest.raises(SchemeError, match="RS256"):
        providers()["gong"].build_scheme().key(p256)


# Over HTTP.


def fetched(answer: httpx.Response | Exception) -> bytes:
    def handle(_: httpx.Request) -> httpx.Response:
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def fetch() -> bytes:
        fetcher = HTTPFetcher(lambda: httpx.AsyncClient(transport=httpx.MockTransport(handle)))
        try:
            return await fetcher.fetch("https://keys.example.com/jwks")
        finally:
            await fetcher.aclose()

    return asyncio.run(fetch())


def test_a_document_is_what_the_address_answers() -> None:
    assert fetched(httpx.Response(200, stream=httpx.ByteStream(b"{}"))) == b"{}"


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(404),
        httpx.Response(302, headers={"Location": "https://evil.example/"}),
        httpx.Response(200, stream=httpx.ByteStream(b"x" * (LARGEST_DOCUMENT + 1))),
        httpx.ConnectError("refused"),
        URLRefused("not public"),
    ],
)
def test_everything_else_is_no_document(answer: httpx.Response | Exception) -> None:
    with pytest.raises(FetchError):
        fetched(answer)
