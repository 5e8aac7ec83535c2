"""Whatever a stranger sends to a source of any provider, by any method: one of the contract's answers, and nothing is stored.

What a sender of ours may send wrong, `test_strangers` tries; the schemes alone, `test_signature_families`.
"""

import base64
import json
from urllib.parse import quote

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.signatures import FetchError, SignatureError, providers
from tests.unit.infra.signature_cases import NOW, SIGNED_CASES
from tests.unit.ingest.application import PROBLEM, House, lasting

PLEASED = {200, 204}  # an answer to a question, which promises nothing
REFUSED = {400, 401, 405, 413, 415, 429, 431, 503}  # 503: where a provider wants to be called back first

DEFAULTS = {case.provider: case for case in SIGNED_CASES if case.name == providers()[case.provider].scheme}
SECRETS = {name: case.secret() for name, case in DEFAULTS.items()}
SOURCES = "".join(f"[{name}]\n" for name in DEFAULTS)
NAMES = sorted(
    {header for case in DEFAULTS.values() for header in case.send().headers}
    | {"X-Hook-Secret", "Content-Type", "Content-Encoding", "Content-Length", "Idempotency-Key", "Prefer"}
)
WORDS = [
    *("type", "challenge", "event", "payload", "plainToken", "token", "verification_token", "events", "id"),
    *("Type", "TopicArn", "SubscribeURL", "SigningCertURL", "Message", "MessageId", "Signature", "SignatureVersion"),
    *("notificationItems", "NotificationRequestItem", "value", "validationTokens", "signature", "timestamp"),
    *("hub.mode", "hub.challenge", "hub.verify_token", "crc_token", "validationToken", "bodySHA256"),
]  # fmt: skip

texts = (
    st.text(st.characters(exclude_categories=()), max_size=30)
    | st.sampled_from(
        ["subscribe", "url_verification", "endpoint.url_validation", "SubscriptionConfirmation", "<script>", "https://sns.us-east-1.amazonaws.com/?a"]
    )
)  # fmt: skip
documents = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=5),
    max_leaves=15,
)
bodies = (
    st.binary(max_size=200)
    | documents.map(lambda said: json.dumps(said).encode())
    | st.lists(st.tuples(st.sampled_from(WORDS), texts), max_size=4).map(
        lambda fields: "&".join(f"{name}={quote(text, safe='', errors='replace')}" for name, text in fields).encode()
    )
    | st.sampled_from([b"", b"[" * 100_000, b"9" * 5000, b'{"type":"\\ud800"}', b"\xef\xbb\xbf{}", b"x" * 1_100_000])
)  # fmt: skip
values = (
    st.binary(max_size=60)
    | st.from_regex(
        rb"(sha256=|v0=|v1,|t=[0-9]{10},v1=|Bearer |Basic )?[A-Za-z0-9+/=_.-]{0,80}", fullmatch=True
    )
    | st.just(str(int(NOW.timestamp())).encode())
    | st.binary(max_size=24).map(
        lambda data: base64.urlsafe_b64encode(b'{"alg":"none"}') + b"." + data + b"."
    )
    | st.sampled_from(
        [b"application/json", b"application/x-www-form-urlencoded", b"gzip", b"wait=1", b"x" * 20_000]
    )
)
queries = st.lists(st.tuples(st.sampled_from(WORDS), texts), max_size=3).map(
    lambda fields: "&".join(f"{name}={quote(text, safe='', errors='replace')}" for name, text in fields)
) | st.text("abc=&%+;", max_size=20)
names = st.sampled_from(NAMES).map(str.encode)
methods = st.sampled_from(["POST", "GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "QUERY"])


class NobodyAnswers:
    """Nothing that a stranger names is called in a test."""

    async def fetch(self, url: str, question: bytes | None = None) -> bytes:
        raise FetchError("nobody there")

    async def aclose(self) -> None:
        """There is nothing to let go of."""


def assert_refused_or_harmless(answer: httpx.Response) -> None:
    assert answer.status_code in PLEASED | REFUSED, answer.text
    assert len(answer.content) < 5_000
    if answer.status_code >= 400 and answer.request.method != "HEAD":
        assert answer.headers["Content-Type"] == PROBLEM
        assert answer.json()["status"] == answer.status_code
    assert "html" not in answer.headers.get("Content-Type", "")


async def send_everywhere(
    house: House, method: str, query: str, headers: list[tuple[bytes, bytes]], body: bytes
) -> None:
    """The same request to every provider's source."""
    for name in DEFAULTS:
        url = httpx.URL("http://hookline", raw_path=f"/hooks/{name}?{query}".encode("ascii", "ignore"))
        request = httpx.Request(method, url, stream=httpx.ByteStream(body), headers=headers)
        assert_refused_or_harmless(await house.http.send(request))
    assert house.stored() == set()


def check_strangers(examples: int) -> None:
    with lasting(sources=SOURCES, secrets=SECRETS, fetcher=NobodyAnswers()) as (house, run):

        @settings(max_examples=examples)
        @given(methods, queries, st.lists(st.tuples(names, values), max_size=6), bodies)
        def check(method: str, query: str, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
            run(send_everywhere(house, method, query, headers, body))

        check()


def test_all_88_providers_are_asked() -> None:
    generic = {"hmac", "static", "bearer", "basic", "url-secret"}
    assert len(DEFAULTS.keys() - generic) == 88


def test_whatever_a_stranger_sends_to_any_provider_has_an_answer_of_the_contract() -> None:
    check_strangers(examples=20)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_whatever_a_stranger_sends_to_any_provider_has_an_answer_of_the_contract_for_longer() -> None:
    check_strangers(examples=500)


async def send_signed_everywhere(house: House, body: bytes) -> None:
    """The same body to every provider's source, signed by its secret; what is taken is kept as it was."""
    for name, case in DEFAULTS.items():
        url = f"https://hooks.example.com/hooks/{name}"
        try:
            sent = case.scheme.sign_request(body, case.keys(), now=NOW, message_id="msg_1", url=url)
        except (SignatureError, ValueError):
            continue  # not a body that it can sign
        path = (sent.url or url).removeprefix("https://hooks.example.com")
        raw = [(key.encode(), text.encode("utf-8", "surrogateescape")) for key, text in sent.headers.items()]
        request = httpx.Request(
            "POST", f"http://hookline{path}", stream=httpx.ByteStream(sent.body), headers=raw
        )
        answer = await house.http.send(request)
        assert answer.status_code in {200, 202, 204, 400, 401, 413, 503}, (name, answer.text)
        if answer.status_code == 202 and "event_id" in (told := answer.json()):
            event = await house.ledger.reading.event(told["event_id"])
            assert event is not None
            assert event.body == sent.body
    house.redis.flushall()


def check_senders(examples: int) -> None:
    with lasting(sources=SOURCES, secrets=SECRETS, fetcher=NobodyAnswers()) as (house, run):

        @settings(max_examples=examples)
        @given(bodies)
        def check(body: bytes) -> None:
            run(send_signed_everywhere(house, body))

        check()


def test_whatever_a_sender_signs_at_any_provider_has_an_answer_of_the_contract() -> None:
    check_senders(examples=10)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_whatever_a_sender_signs_at_any_provider_has_an_answer_of_the_contract_for_longer() -> None:
    check_senders(examples=150)
