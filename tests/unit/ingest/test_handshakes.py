"""Handshakes, from the request to the answer: what each provider documents, and what somebody else makes of it.

The vectors of ``tests/data/handshake_vectors.json`` are the providers' documented examples, or made by the documented formula.
"""

import asyncio
import base64
import json
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.expressions import Document
from infra.hidden_text import HiddenTextError, reveal
from infra.settings import Settings
from infra.signatures import FetchError, Headers, SignatureError, SignedRequest, providers
from ingest.handshake_replies import Replies
from ingest.handshakes import Answer, Handshakes, read_questions
from ingest.problems import Problem
from ingest.sources import load_sources
from tests.unit.ingest.application import NOW, PROBLEM, House, assert_problem, hex_hmac, lasting, running

VECTORS: dict[str, dict[str, Any]] = {
    vector["id"]: vector
    for vector in json.loads(
        (Path(__file__).parents[2] / "data" / "handshake_vectors.json").read_text(encoding="utf-8")
    )
}
ASKING = sorted(name for name, provider in providers().items() if provider.handshakes)
WITH_GET = {"dropbox", "meta", "x-twitter"}
WITH_HEAD = {"intercom", "trello"}
BRINGING = {"asana", "notion"}


class Fetches:
    """A `Fetcher` that has one document, and remembers what it was asked for."""

    def __init__(self, document: bytes = b"", *, broken: str = "") -> None:
        self.document = document
        self.broken = broken
        self.asked: list[str] = []

    async def fetch(self, url: str, question: bytes | None = None) -> bytes:
        assert question is None
        self.asked.append(url)
        if self.broken and self.broken in url:
            raise FetchError("nobody there")
        return self.document

    async def aclose(self) -> None:
        pass


@asynccontextmanager
async def asked(vector: Mapping[str, Any], fetcher: Fetches | None = None) -> AsyncIterator[House]:
    """A house with the one source that a vector is for."""
    name = vector["provider"]
    async with running(
        sources=f"[{name}]\n" + ("handshake = 'open'\n" if vector.get("open") else ""),
        secrets={name: ",".join(vector["secrets"])} if vector["secrets"] else {},
        now=datetime.fromtimestamp(vector["at_unix_time"], UTC),
        fetcher=fetcher or Fetches(vector.get("published", "").encode()),
    ) as house:
        yield house


def decide(name: str, *, query: str = "", body: Any = b"", method: str = "POST", **own: Any) -> Answer | None:
    """What the provider's questions make of a request whose signature holds."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = SignedRequest(method=method, query=query.encode(), headers=Headers(), body=content)
    handshakes = Handshakes(questions=read_questions(providers()[name].handshakes), **own)
    return handshakes.answer(request, Document(headers=request.headers, body=content), verified=True)


async def ask(house: House, vector: Mapping[str, Any], **changes: Any) -> httpx.Response:
    asking = {**vector, **changes}
    return await house.http.request(
        asking["method"],
        f"/hooks/{asking['provider']}?{asking['query']}",
        content=base64.b64decode(asking["body_b64"]),
        headers=asking["headers"],
    )


def assert_harmless(answer: httpx.Response) -> None:
    """No browser would take it for a page, and no cache would keep it."""
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-store"
    media_type = answer.headers.get("Content-Type", "").partition(";")[0]
    assert media_type in {"", "text/plain", "application/json", PROBLEM}
    assert media_type or not answer.content


# -- what providers document -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("vector", VECTORS.values(), ids=VECTORS)
def test_a_handshake_is_answered_as_its_provider_wants(vector: dict[str, Any]) -> None:
    async def check() -> None:
        fetcher = Fetches(vector.get("published", "").encode())
        async with asked(vector, fetcher) as house:
            answer = await ask(house, vector)
            expected = vector["expected"]
            assert answer.status_code == expected["status"]
            for name, value in expected["headers"].items():
                assert answer.headers[name].partition(";")[0] == value
            if "json" in expected:
                assert answer.json() == expected["json"]
            if "body" in expected:
                assert answer.text == expected["body"]
            if "visit" in expected:
                assert fetcher.asked[-1] == expected["visit"]
            assert_harmless(answer)
            assert bool(house.stored()) == (vector["id"] in {"adyen.ack", "xero.right"})

    asyncio.run(check())


def test_every_provider_that_asks_has_a_vector() -> None:
    assert {vector["provider"] for vector in VECTORS.values()} == set(ASKING)


@pytest.mark.parametrize("name", ASKING)
def test_a_question_of_the_table_can_be_read(name: str) -> None:
    for question in read_questions(providers()[name].handshakes):
        assert question.method in {"GET", "HEAD", "POST"}
        assert question.value or question.kind == "fixed"


# -- methods -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
def test_another_method_without_a_handshake_is_not_allowed(method: str) -> None:
    async def check() -> None:
        async with running(
            sources="".join(f"[{name}]\n" for name in (*ASKING, "github")), secrets={}, fetcher=Fetches()
        ) as house:
            for name in (*ASKING, "github"):
                if method == "HEAD" and name in WITH_HEAD:
                    continue
                answer = await house.http.request(method, f"/hooks/{name}")
                assert (answer.status_code, answer.headers["Allow"]) == (405, "POST"), name

    asyncio.run(check())


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("name", [name for name in ASKING if name not in WITH_GET])
def test_a_question_in_the_query_is_answered_where_its_provider_asks_there_alone(
    name: str, method: str
) -> None:
    async def check() -> None:
        query = "hub.mode=subscribe&hub.challenge=1&hub.verify_token=s3cret&challenge=1&crc_token=a1"
        async with running(sources=f"[{name}]", secrets={}, fetcher=Fetches()) as house:
            answer = await house.http.request(method, f"/hooks/{name}?{query}")
            if (name, method) != ("grain", "POST"):
                assert answer.status_code == (405 if method == "GET" else 401)

    asyncio.run(check())


# -- what somebody else makes of it ------------------------------------------------------------------------------------


@pytest.mark.parametrize("identifier", ["slack", "zoom", "twitch", "discord.interaction", "aws-sns"])
def test_a_question_that_is_signed_needs_its_signature(identifier: str) -> None:
    async def check() -> None:
        vector = VECTORS[identifier]
        body = base64.b64decode(vector["body_b64"])
        other = (
            body.replace(b"Token=2", b"Token=3") if identifier == "aws-sns" else body.replace(b"}", b" }", 1)
        )
        spoiled = base64.b64encode(other).decode()
        fetcher = Fetches(vector.get("published", "").encode())
        async with asked(vector, fetcher) as house:
            answer = await ask(house, vector, body_b64=spoiled)
            assert_problem(answer, 401, "signature_invalid")
            assert house.stored() == set()
        assert not [url for url in fetcher.asked if "Token" in url]

    asyncio.run(check())


@pytest.mark.parametrize(
    "query",
    [
        "hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=wrong",
        "hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=",
        "hub.mode=subscribe&hub.challenge=1158201444",
        "hub.mode=subscribe&hub.challenge=1&hub.verify_token=meatyhamhock&hub.verify_token=wrong",
        "hub.mode=subscribe&hub.challenge=1&hub.verify_token=meatyhamhoc%C3%A9",
    ],
)
def test_a_challenge_of_meta_without_the_token_is_refused(query: str) -> None:
    async def check() -> None:
        async with asked(VECTORS["meta"]) as house:
            assert_problem(await ask(house, VECTORS["meta"], query=query), 401, "signature_invalid")

    asyncio.run(check())


def test_a_token_of_its_own_keeps_metas_secret_out_of_addresses() -> None:
    environ = {"SOURCE_META_SECRET": "app-secret", "SOURCE_META_VERIFY_TOKEN": "chosen,older"}
    handshakes = load_sources(Settings.load({}), environ, read_file=lambda _: "").by_name["meta"].handshakes
    assert handshakes is not None

    def answers(token: str) -> bool:
        query = f"hub.mode=subscribe&hub.challenge=7&hub.verify_token={token}"
        request = SignedRequest(method="GET", query=query.encode(), headers=Headers(), body=b"")
        try:
            return handshakes.answer(request, Document(headers={}, body=b""), verified=False) is not None
        except SignatureError:
            return False

    assert [answers(token) for token in ("chosen", "older", "app-secret")] == [True, True, False]


def test_what_comes_back_is_plain_text_whatever_it_is() -> None:
    async def check() -> None:
        page = "<script>alert(1)</script>\r\nSet-Cookie: a=b"
        async with running(sources="[dropbox]\n[microsoft-graph]", secrets={}) as house:
            for method, asked_for in (
                ("GET", f"/hooks/dropbox?challenge={quote(page)}"),
                ("POST", f"/hooks/microsoft-graph?validationToken={quote(page)}"),
            ):
                answer = await house.http.request(method, asked_for)
                assert (answer.status_code, answer.text) == (200, page)
                assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
                assert "Set-Cookie" not in answer.headers
                assert_harmless(answer)

    asyncio.run(check())


@pytest.mark.parametrize(
    "query",
    ["challenge=" + "x" * 2049, "challenge=a&challenge=b", "challenge=%ff", "&".join(["a=1"] * 20) + "&challenge=a"],
    ids=["long", "twice", "not UTF-8", "many parameters"],
)  # fmt: skip
def test_a_challenge_that_is_none_is_not_sent_back(query: str) -> None:
    async def check() -> None:
        async with running(sources="[dropbox]", secrets={}) as house:
            assert_problem(await house.http.get(f"/hooks/dropbox?{query}"), 405, "method_not_allowed")

    asyncio.run(check())


@pytest.mark.parametrize(
    "token", ['{"for_user_id":"1"}', "[]", "123", "-1.5e3", "true", "a b", "é", "x" * 513]
)
def test_nothing_that_could_be_an_event_is_keyed_for_an_asker(token: str) -> None:
    """X keys its challenge and its events with the same secret, and anybody may send the challenge."""

    async def check() -> None:
        async with asked(VECTORS["x.crc"]) as house:
            answer = await ask(house, VECTORS["x.crc"], query=f"crc_token={quote(token)}")
            assert_problem(answer, 405, "method_not_allowed")

    asyncio.run(check())


def test_what_is_keyed_is_never_an_event() -> None:
    with lasting(sources="[x-twitter]", secrets={"x-twitter": "consumer-secret"}) as (house, run):

        @given(st.text(min_size=1, max_size=40) | st.from_regex(r"[A-Za-z0-9_.~+/=-]{1,9}", fullmatch=True))
        def check(token: str) -> None:
            run(replay(token))

        async def replay(token: str) -> None:
            answer = await house.http.get(f"/hooks/x-twitter?crc_token={quote(token, safe='')}")
            if answer.status_code == 200:
                headers = {"x-twitter-webhooks-signature": answer.json()["response_token"]}
                sent = await house.http.post("/hooks/x-twitter", content=token.encode(), headers=headers)
                assert_problem(sent, 400, "body_malformed")

        check()


def test_an_event_of_discord_is_no_ping_though_both_have_the_type_1() -> None:
    event = {"version": 1, "type": 1, "event": {"type": "APPLICATION_AUTHORIZED", "data": {}}}
    assert decide("discord", body=event) is None
    assert decide("discord", body={"version": 1, "type": 1}) == Answer(json={"type": 1})


@pytest.mark.parametrize(
    "body", [{"challenge": "a", "event": {}}, {"challenge": 7}, {"event": {}}, ["a"], "challenge"]
)
def test_what_is_more_than_a_challenge_of_monday_is_none(body: Any) -> None:
    async def check() -> None:
        async with running(sources="[monday]", secrets={"monday": "s" * 20}) as house:
            answer = await house.http.post("/hooks/monday", json=body)
            assert_problem(answer, 401, "signature_invalid")

    asyncio.run(check())


# -- secrets that come in ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("identifier", sorted(BRINGING))
def test_a_secret_is_taken_only_while_the_operator_says_so(identifier: str) -> None:
    async def check() -> None:
        async with asked(VECTORS[identifier] | {"open": False}) as house:
            assert_problem(await ask(house, VECTORS[identifier]), 401, "signature_invalid")

    asyncio.run(check())


@pytest.mark.parametrize("identifier", sorted(BRINGING))
def test_a_secret_reaches_the_operator_and_nobody_else(
    identifier: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def check() -> None:
        vector = VECTORS[identifier]
        with caplog.at_level(logging.DEBUG):
            async with asked(vector) as house:
                await ask(house, vector)
                assert house.stored() == set()
        (line,) = [record for record in caplog.records if "reveal" in record.getMessage()]
        hidden = vars(line)["hidden"]
        assert reveal(hidden, ["old-key", "new-key"]) == vector["expected"]["secret"]
        assert not any(vector["expected"]["secret"] in str(vars(record)) for record in caplog.records)
        for keys in (["old-key"], ["another"]):
            with pytest.raises(HiddenTextError):
                reveal(hidden, keys)

    asyncio.run(check())


@pytest.mark.parametrize("secret", ["", "a b", "a" * 513, "a,b", "\r\nX-Evil: 1"])
def test_a_header_that_is_no_secret_is_not_sent_back(secret: str) -> None:
    async def check() -> None:
        async with asked(VECTORS["asana"]) as house:
            headers = [(b"content-type", b"application/json"), (b"x-hook-secret", secret.encode())]
            answer = await house.http.send(
                httpx.Request("POST", "http://hookline/hooks/asana", content=b"{}", headers=headers)
            )
            assert_problem(answer, 401, "signature_invalid")

    asyncio.run(check())


@given(st.text() | st.binary().map(lambda data: base64.urlsafe_b64encode(data).decode()))
def test_whatever_is_revealed_has_one_failure(hidden: str) -> None:
    with pytest.raises(HiddenTextError):
        reveal(hidden, ["key"])


# -- an address to call ------------------------------------------------------------------------------------------------


def test_a_confirmation_that_nobody_answers_is_asked_for_again() -> None:
    async def check() -> None:
        vector = VECTORS["aws-sns"]
        fetcher = Fetches(vector["published"].encode(), broken="ConfirmSubscription")
        async with asked(vector, fetcher) as house:
            answer = await ask(house, vector)
            assert_problem(answer, 503, "confirmation_failed")
            assert answer.headers["Retry-After"] == "5"

    asyncio.run(check())


def test_an_address_that_hangs_is_waited_for_no_longer_than_patience_lasts() -> None:
    class Hanging(Fetches):
        async def fetch(self, url: str, question: bytes | None = None) -> bytes:
            await asyncio.Event().wait()
            raise AssertionError

    replies = Replies(Hanging(), secret_keys=["key"], patience=0.01)
    with pytest.raises(Problem, match="did not answer"):
        asyncio.run(replies.reply(Answer(visit="https://sns.us-east-1.amazonaws.com/")))


@pytest.mark.parametrize(
    "url",
    [
        "http://sns.us-east-1.amazonaws.com/?Action=ConfirmSubscription",
        "https://sns.us-east-1.amazonaws.com.evil.test/",
        "https://sns.us-east-1.amazonaws.com@evil.test/",
        "https://evil.test/sns.us-east-1.amazonaws.com/",
        "https://sns.us-east-1.amazonaws.com:8443/",
        "https://SNS.us-east-1.amazonaws.com/",
        "https://sns.us-east-1.amazonaws.com/\r\nHost: evil.test",
        "https://169.254.169.254/",
        "file:///etc/passwd",
        "https://sns.us-east-1.amazonaws.com/" + "a" * 3000,
    ],
)
def test_only_the_hosts_of_the_table_are_called(url: str) -> None:
    assert decide("aws-sns", body={"Type": "SubscriptionConfirmation", "SubscribeURL": url}) is None


# -- strangers ---------------------------------------------------------------------------------------------------------

words = st.sampled_from(
    ["challenge", "hub.challenge", "hub.mode", "hub.verify_token", "crc_token", "validationToken", "a"]
)
texts = st.text(max_size=30) | st.sampled_from(
    ["subscribe", "url_verification", "endpoint.url_validation", "<b>"]
)
members = st.dictionaries(
    st.sampled_from(
        [
            "type",
            "challenge",
            "event",
            "payload",
            "verification_token",
            "Type",
            "SubscribeURL",
            "value",
            "events",
        ]
    ),
    st.none()
    | st.integers(0, 3)
    | texts
    | st.lists(texts, max_size=2)
    | st.fixed_dictionaries({"plainToken": texts}),
    max_size=4,
)


SOURCES = "".join(f"[{name}]\n" for name in ASKING) + "".join(
    f"[{name}-open]\nprovider = '{name}'\nhandshake = 'open'\n" for name in sorted(BRINGING)
)


def test_whatever_a_stranger_asks_the_answer_is_one_of_the_contracts() -> None:
    with lasting(sources=SOURCES, secrets={}, fetcher=Fetches()) as (house, run):

        @given(
            st.sampled_from([*ASKING, *[f"{name}-open" for name in sorted(BRINGING)]]),
            st.sampled_from(["GET", "HEAD", "POST"]),
            st.lists(st.tuples(words, texts), max_size=4),
            members.map(lambda said: json.dumps(said).encode()) | st.binary(max_size=40),
            st.none() | st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20),
        )
        def check(
            name: str, method: str, query: list[tuple[str, str]], body: bytes, secret: str | None
        ) -> None:
            asking = "&".join(f"{quote(key)}={quote(value, safe='')}" for key, value in query)
            headers = {} if secret is None else {"X-Hook-Secret": secret}
            run(send(method, f"/hooks/{name}?{asking}", body, headers))

        async def send(method: str, path: str, body: bytes, headers: dict[str, str]) -> None:
            answer = await house.http.request(method, path, content=body, headers=headers)
            assert answer.status_code in {200, 401, 405}
            assert len(answer.content) < 4096
            assert_harmless(answer)
            assert house.stored() == set()

        check()


def test_a_question_takes_no_more_of_an_unsigned_body_than_4_kib() -> None:
    async def check() -> None:
        async with running(sources="[grain]", secrets={}) as house:
            small, large = [
                await house.http.post("/hooks/grain", content=b"{" + b" " * size + b"}")
                for size in (10, 5000)
            ]
            assert (small.status_code, large.status_code) == (200, 401)

    asyncio.run(check())


def test_an_event_of_zoom_is_recorded_as_ever() -> None:
    async def check() -> None:
        async with running(sources="[zoom]", secrets={"zoom": "ztok"}) as house:
            body = b'{"event":"meeting.ended","event_ts":1,"payload":{"object":{"uuid":"u"}}}'
            stamp = str(int(NOW.timestamp()))
            signature = "v0=" + hex_hmac("ztok", f"v0:{stamp}:".encode() + body)
            answer = await house.http.post(
                "/hooks/zoom",
                content=body,
                headers={"x-zm-request-timestamp": stamp, "x-zm-signature": signature},
            )
            assert answer.status_code == 202

    asyncio.run(check())
