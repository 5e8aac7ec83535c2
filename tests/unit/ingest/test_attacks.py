"""Forgeries that come close, replays, and whatever else a sender may try (docs/security-tests.md).

Those that are further off stand in `test_receive`, those below HTTP in the acceptance tests.
"""

import asyncio
import base64
import hashlib
import hmac
import json
from datetime import timedelta

import pytest

from tests.unit.ingest.application import (
    API_KEY,
    NOW,
    SECRETS,
    WHSEC,
    House,
    assert_problem,
    hex_hmac,
    running,
)

BODY = b'{"type":"a"}'
GITHUB = SECRETS["github"]
HEX = hex_hmac(GITHUB, BODY)
STAMP = str(int(NOW.timestamp()))


def standard(content: bytes) -> str:
    """What a `v1` of the source `billing` signs, in base64."""
    key = base64.b64decode(WHSEC.removeprefix("whsec_"))
    return base64.b64encode(hmac.digest(key, content, hashlib.sha256)).decode()


RIGHT = standard(b"msg_1." + STAMP.encode() + b"." + BODY)


def billing(signature: str, *, message_id: str = "msg_1", timestamp: str = STAMP) -> dict[str, str]:
    return {"webhook-id": message_id, "webhook-timestamp": timestamp, "webhook-signature": signature}


async def post(
    house: House, path: str, headers: dict[str, str], body: bytes = BODY
) -> tuple[int, str | None]:
    """The status, and the job where there is one; whatever was refused left nothing."""
    before = house.stored()
    raw = [(name.encode(), value.encode("utf-8", "surrogateescape")) for name, value in headers.items()]
    answer = await house.http.post(path, content=body, headers=raw)
    if answer.status_code >= 400:
        assert house.stored() == before
        return answer.status_code, None
    return answer.status_code, answer.json()["job_id"]


# -- signatures --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "headers"),
    [
        pytest.param("github", {"X-Hub-Signature-256": f"sha256={HEX[:10]}"}, id="ten characters of it"),
        pytest.param("github", {"X-Hub-Signature-256": f"sha256={HEX[:-1]}"}, id="all but one"),
        pytest.param("github", {"X-Hub-Signature-256": f"sha256={HEX}00"}, id="more than all"),
        pytest.param(
            "github", {"X-Hub-Signature-256": f"sha256={hex_hmac('', BODY)}"}, id="by the empty key"
        ),
        pytest.param(
            "github",
            {"X-Hub-Signature-256": f"sha256={hashlib.sha256(GITHUB.encode() + BODY).hexdigest()}"},
            id="a hash where an HMAC belongs",
        ),
        pytest.param("github", {"X-Hub-Signature": f"sha1={hex_hmac(GITHUB, BODY, 'sha1')}"}, id="SHA-1"),
        pytest.param(
            "github", {"X-Hub-Signature-256": f"sha1={hex_hmac(GITHUB, BODY, 'sha1')}"}, id="SHA-1 in its place"
        ),
        pytest.param("github", {"X-Hub-Signature-256": HEX}, id="without its prefix"),
        pytest.param("github", {"X-Hub-Signature-256": f"SHA256={HEX}"}, id="its prefix in capitals"),
        pytest.param("github", {"X-Hub-Signature-256": f"none={HEX}"}, id="an algorithm that is none"),
        pytest.param("github", {"X-Hub-Signature-256": base64.b64encode(bytes.fromhex(HEX)).decode()}, id="base64"),
        pytest.param("billing", billing(f"v2,{RIGHT}"), id="another version"),
        pytest.param("billing", billing(f"none,{RIGHT}"), id="no version"),
        pytest.param("billing", billing(RIGHT), id="without its version"),
        pytest.param("billing", billing(" ".join(["v1,AAAA"] * 100 + [f"v1,{RIGHT}"])), id="behind a hundred others"),
    ],
)  # fmt: skip
def test_a_right_signature_in_a_wrong_form_is_refused(source: str, headers: dict[str, str]) -> None:
    """A004, A005, A006, A007, A014, A019."""

    async def check() -> None:
        async with running() as house:
            assert await post(house, f"/hooks/{source}", headers) == (401, None)

    asyncio.run(check())


@pytest.mark.parametrize(
    ("source", "headers"),
    [
        pytest.param("github", {"X-Hub-Signature-256": f"sha256={HEX.upper()}"}, id="hex in capitals"),
        pytest.param("billing", billing(f"v1,{RIGHT}"), id="as it should be"),
        pytest.param("billing", billing(f"v1,AAAA v1a,x v1,{RIGHT}"), id="beside others"),
    ],
)
def test_a_signature_that_holds_may_be_written_so(source: str, headers: dict[str, str]) -> None:
    """A014, A019: what docs/sources.md says of it."""

    async def check() -> None:
        async with running() as house:
            status, _ = await post(house, f"/hooks/{source}", headers)
            assert status == 202

    asyncio.run(check())


def test_what_was_signed_can_not_be_cut_at_another_place() -> None:
    """A013: the id takes a part of the timestamp; what was signed stays the same, letter for letter."""

    async def check() -> None:
        async with running() as house:
            signature = f"v1,{standard(b'a.1.' + STAMP.encode() + b'.' + BODY)}"
            assert await post(house, "/hooks/billing", billing(signature, message_id="a.1")) == (401, None)
            shifted = billing(signature, message_id="a", timestamp=f"1.{STAMP}")
            assert await post(house, "/hooks/billing", shifted) == (401, None)

    asyncio.run(check())


def test_a_rotation_ends_when_the_old_secret_is_taken_out() -> None:
    """A018: until then both are taken."""

    async def check() -> None:
        by_new, by_old = ({"X-Hub-Signature-256": f"sha256={hex_hmac(key, BODY)}"} for key in ("new", "old"))
        async with running(secrets={"github": "new,old"}) as house:
            assert (await post(house, "/hooks/github", by_new))[0] == 202
            assert (await post(house, "/hooks/github", by_old))[0] in (200, 202)
        async with running(secrets={"github": "new"}) as house:
            assert (await post(house, "/hooks/github", by_new))[0] == 202
            assert (await post(house, "/hooks/github", by_old))[0] == 401

    asyncio.run(check())


# -- replays -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", ["acme", "billing"])
def test_a_replay_is_a_duplicate_until_it_is_too_old(source: str) -> None:
    """A021, A025, A026: what is remembered outlives what is fresh."""

    async def check() -> None:
        async with running() as house:
            signed = house.signed(source, BODY)
            first = await post(house, f"/hooks/{source}", signed)
            assert first[0] == 202
            house.clock.advance(timedelta(seconds=299))
            assert await post(house, f"/hooks/{source}", signed) == (200, first[1])
            house.clock.advance(timedelta(seconds=2))
            assert await post(house, f"/hooks/{source}", signed) == (401, None)
            assert house.redis.llen("rq:queue:default") == 1

    asyncio.run(check())


def test_an_honest_retry_with_a_fresh_signature_is_a_duplicate() -> None:
    """A024."""

    async def check() -> None:
        async with running() as house:
            _, first = await post(house, "/hooks/billing", house.signed("billing", BODY))
            house.clock.advance(timedelta(minutes=10))
            assert await post(house, "/hooks/billing", house.signed("billing", BODY)) == (200, first)

    asyncio.run(check())


@pytest.mark.parametrize(
    ("source", "method", "path", "status"),
    [
        ("github", "POST", "/hooks/fireflies", 401),
        ("acme", "POST", "/hooks/located", 401),
        ("acme", "POST", "/hooks/nobody", 404),
        ("acme", "PUT", "/hooks/acme", 405),
        ("acme", "GET", "/hooks/acme", 405),
        ("acme", "POST", "/hooks/acme/", 404),
        ("acme", "POST", "/jobs", 401),
        ("located", "POST", "/hooks/located?again=1", 401),
        (
            "acme",
            "POST",
            "/hooks/acme?again=1",
            200,
        ),  # the same event: a signature over the body says no more
    ],
)
def test_what_was_signed_is_of_no_use_elsewhere(source: str, method: str, path: str, status: int) -> None:
    """A023."""

    async def check() -> None:
        async with running() as house:
            signed = house.signed(source, BODY)
            assert (await post(house, f"/hooks/{source}", signed))[0] == 202
            answer = await house.http.request(method, path, content=BODY, headers=signed)
            assert answer.status_code == status
            assert house.redis.llen("rq:queue:default") == 1

    asyncio.run(check())


# -- bodies ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "status"),
    [("9" * 5000, 400), ("1e400", 400), ("-1e400", 400), ("1e-400", 202), ("0." + "1" * 10_000, 202), ("9" * 300, 202)],
)  # fmt: skip
def test_a_number_is_read_or_refused_and_kept_as_it_was_sent(number: str, status: int) -> None:
    """A031."""

    async def check() -> None:
        async with running() as house:
            body = f'{{"type":"a","n":{number}}}'.encode()
            got, job_id = await post(house, "/hooks/acme", house.signed("acme", body), body)
            assert got == status
            if job_id is not None:
                assert (await house.claim()).body == body
                path = f"/jobs/{job_id}"
                read = await house.http.get(path, headers={"Authorization": f"Bearer {API_KEY}"})
                assert read.status_code == 200

    asyncio.run(check())


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({"k" * 1_000_000: 1}, id="a long key"),
        pytest.param(list(range(100_000)), id="a long list"),
        pytest.param(dict.fromkeys(("__class__", "__proto__", "$ref", "py/object"), "os.system"), id="names"),
        pytest.param({"type": ["a"], "callback_url": {"a": 1}, "metadata": [1]}, id="other types"),
    ],
)  # fmt: skip
def test_a_large_or_odd_body_is_kept_as_it_was_sent(body: object) -> None:
    """A038."""

    async def check() -> None:
        async with running() as house:
            text = json.dumps(body).encode()
            status, _ = await post(house, "/hooks/acme", house.signed("acme", text), text)
            claim = await house.claim()
            assert (status, claim.body, claim.type, claim.metadata) == (202, text, "event", {})

    asyncio.run(check())


@pytest.mark.parametrize(
    "content_type",
    ["text/html", "multipart/form-data", "multipart/form-data; boundary=" + "x" * 200, "application/json; charset=utf-7", "é", ""],
)  # fmt: skip
@pytest.mark.parametrize(("source", "status"), [("acme", 400), ("make", 202)])
def test_what_a_body_is_called_changes_nothing(source: str, status: int, content_type: str) -> None:
    """A039: a provider that sends JSON sends it under any name, and one that may send anything is taken at its word."""

    async def check() -> None:
        async with running() as house:
            body = b"--x\r\nContent-Disposition: form-data; name=a\r\n\r\n<script>\xff"
            headers = house.signed(source, body) | {"Content-Type": content_type}
            expected = 400 if content_type.startswith("application/json") else status
            assert (await post(house, f"/hooks/{source}", headers, body))[0] == expected

    asyncio.run(check())


# -- headers -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "message_id",
    ["x" * 300, "a:b", "../x", "rq:job:1", "msg 1", "", "a.b", "\N{PILE OF POO}", "a\tb", "%00", "job_00000000000000000000000000"],
)  # fmt: skip
@pytest.mark.parametrize("source", ["billing", "acme"])
def test_an_id_that_a_sender_chose_is_refused_or_kept_apart_from_ours(source: str, message_id: str) -> None:
    """A052: signed, or beside what is signed; no key of Redis is named by it."""

    async def check() -> None:
        async with running() as house:
            if source == "billing":
                content = f"{message_id}.{STAMP}.".encode() + BODY
                headers = billing(f"v1,{standard(content)}", message_id=message_id)
            else:
                headers = house.signed("acme", BODY) | {"X-Acme-Delivery": message_id}
            status, job_id = await post(house, f"/hooks/{source}", headers)
            assert status in (202, 401)
            if job_id is not None:
                assert job_id.removeprefix("job_") not in message_id
                assert not [key for key in house.stored() if message_id and message_id in key]

    asyncio.run(check())


@pytest.mark.parametrize(
    "name",
    ["X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Prefix", "X-Forwarded-Proto", "Forwarded", "X-Real-IP",
     "X-Original-URL", "X-Rewrite-URL", "X-HTTP-Method-Override"],
)  # fmt: skip
@pytest.mark.parametrize(
    "value", ["127.0.0.1", "evil.test", "/hooks/acme", "for=127.0.0.1;host=evil.test", "POST"]
)
def test_what_a_proxy_might_have_said_is_not_believed(name: str, value: str) -> None:
    """A050: not for the way, not for who asks, not for what is linked."""

    async def check() -> None:
        async with running() as house:
            said = {name: value}
            signed = house.signed("acme", BODY) | said
            assert (await post(house, "/hooks/nobody", signed))[0] == 404
            assert (await post(house, "/hooks/github", signed))[0] == 401
            assert_problem(await house.http.get("/hooks/acme", headers=said), 405, "method_not_allowed")
            assert_problem(await house.http.get("/jobs/job_1", headers=said), 401, "unauthorized")
            answer = await house.http.post("/hooks/acme", content=BODY, headers=signed)
            assert answer.json()["status_url"].startswith("https://hooks.example.com/jobs/job_")

    asyncio.run(check())
