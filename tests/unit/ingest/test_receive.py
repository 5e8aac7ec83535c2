"""``POST /hooks/{source}``, from the request to the answer and what stands in Redis then; grouped by threat."""

import asyncio
import gzip
import json
import time
from collections.abc import Callable, Iterable
from typing import Any

import httpx
import pytest

from ingest.intake import MOST_HEADERS
from tests.unit.ingest.application import (
    API_KEY,
    SECRETS,
    House,
    assert_problem,
    hex_hmac,
    running,
    until,
)

EVENT = {"type": "row.added", "meeting_id": "M1", "event": "meeting.summarized"}
SENDERS = ("fireflies", "github", "make", "billing", "acme", "located", "narrow")


def refused(answer: httpx.Response, status: int, code: str, house: House) -> dict[str, Any]:
    """It is that problem, and nothing of it was kept."""
    members = assert_problem(answer, status, code)
    assert house.stored() == set()
    return members


# -- what is taken -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", SENDERS)
def test_a_signed_event_is_stored_and_queued_before_the_answer(source: str) -> None:
    async def check() -> None:
        async with running() as house:
            answer = await house.post(source, EVENT)
            assert answer.status_code == 202
            told = answer.json()
            assert told == {
                "event_id": "evt_" + told["job_id"].removeprefix("job_"),
                "job_id": told["job_id"],
                "status": "queued",
                "duplicate": False,
                "status_url": told["status_url"],
            }
            event = await house.ledger.reading.event(told["event_id"])
            assert event is not None
            assert (event.source, json.loads(event.body)) == (source, EVENT)
            assert event.received_at == house.clock.now()
            assert (await house.claim()).job_id == told["job_id"]

    asyncio.run(check())


def test_the_answer_is_for_its_sender_alone() -> None:
    async def check() -> None:
        async with running() as house:
            answer = await house.post("acme", EVENT, Origin="https://evil.test")
            assert answer.headers["Cache-Control"] == "no-store"
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert not [name for name in answer.headers if name.startswith("access-control")]

    asyncio.run(check())


def test_the_link_leads_to_our_own_address_whatever_the_sender_calls_it() -> None:
    """A049, A050."""

    async def check() -> None:
        async with running() as house:
            answer = await house.post(
                "acme",
                EVENT,
                Host="evil.test",
                X_Forwarded_Host="evil.test",
                X_Forwarded_Proto="gopher",
                X_Original_URL="/jobs",
                Forwarded="host=evil.test",
            )
            assert answer.json()["status_url"].startswith("https://hooks.example.com/jobs/job_")
            assert (await house.http.get(answer.json()["status_url"])).status_code == 200

    asyncio.run(check())


def test_a_signature_over_the_address_is_checked_against_our_own() -> None:
    """A049."""

    async def check() -> None:
        async with running() as house:
            body = json.dumps(EVENT).encode()
            asked = "/hooks/located?a=%20b"
            right = hex_hmac(SECRETS["located"], b"https://hooks.example.com" + asked.encode() + body)
            wrong = hex_hmac(SECRETS["located"], b"http://evil.test" + asked.encode() + body)
            answers = [
                await house.http.post(
                    asked, content=body, headers={"X-Signature": signature, "Host": "evil.test"}
                )
                for signature in (right, wrong)
            ]
            assert [answer.status_code for answer in answers] == [202, 401]

    asyncio.run(check())


@pytest.mark.parametrize(
    ("source", "headers"),
    [
        ("fireflies", {}),
        ("github", {"X_GitHub_Delivery": "d1"}),
        ("billing", {}),
        ("acme", {"X_Acme_Delivery": "d1"}),
        ("acme", {}),
        ("make", {"Idempotency_Key": "k1"}),
        ("make", {"Idempotency_Key": "k" * 5000}),
    ],
)
def test_the_same_event_twice_gets_the_first_ids_and_runs_once(source: str, headers: dict[str, str]) -> None:
    async def check() -> None:
        async with running() as house:
            first, again = [await house.post(source, EVENT, **headers) for _ in range(2)]
            assert (first.status_code, again.status_code) == (202, 200)
            assert again.json() == first.json() | {
                "duplicate": True,
                "status_url": again.json()["status_url"],
            }
            assert house.redis.llen("rq:queue:default") == 1

    asyncio.run(check())


def test_a_duplicate_is_told_where_the_first_ones_job_stands() -> None:
    async def check() -> None:
        async with running() as house:
            await house.post("fireflies", EVENT)
            await house.finish(await house.claim())
            again = await house.post("fireflies", EVENT)
            assert (again.status_code, again.json()["status"]) == (200, "finished")

    asyncio.run(check())


def test_the_same_id_with_another_body_is_noted_and_runs_nothing() -> None:
    async def check() -> None:
        async with running() as house:
            first = await house.post("acme", EVENT, X_Acme_Delivery="d1")
            other = await house.post("acme", EVENT | {"more": 1}, X_Acme_Delivery="d1")
            assert (other.status_code, other.json()["job_id"]) == (200, first.json()["job_id"])
            event = await house.ledger.reading.event(first.json()["event_id"])
            assert event is not None
            assert (event.differing_duplicates, event.duplicates) == (1, 0)

    asyncio.run(check())


def test_a_static_key_knows_no_duplicates_by_itself() -> None:
    async def check() -> None:
        async with running() as house:
            answers = [await house.post("make", EVENT) for _ in range(3)]
            assert [answer.status_code for answer in answers] == [202, 202, 202]

    asyncio.run(check())


def test_many_at_once_each_get_their_own_answer() -> None:
    async def check() -> None:
        async with running() as house:
            answers = await asyncio.gather(
                *[house.post("acme", {"type": "n", "n": n}, X_Acme_Delivery=f"d{n % 40}") for n in range(80)]
            )
            by_delivery: dict[int, set[str]] = {}
            for n, answer in enumerate(answers):
                by_delivery.setdefault(n % 40, set()).add(answer.json()["event_id"])
            assert sorted(answer.status_code for answer in answers) == [200] * 40 + [202] * 40
            assert all(len(ids) == 1 for ids in by_delivery.values())
            assert len(set.union(*by_delivery.values())) == 40

    asyncio.run(check())


def test_a_form_is_taken_as_it_is_where_a_provider_sends_forms() -> None:
    async def check() -> None:
        async with running() as house:
            answer = await house.post(
                "github",
                b"payload=%7B%22zen%22%3A1%7D&a=%ff%00",
                Content_Type="application/x-www-form-urlencoded",
                X_GitHub_Event="push",
            )
            assert answer.status_code == 202
            claim = await house.claim()
            assert (claim.type, claim.body) == ("push", b"payload=%7B%22zen%22%3A1%7D&a=%ff%00")

    asyncio.run(check())


@pytest.mark.parametrize("body", [b"", b"\xff\xfe\x00", b"{", b'{"a":NaN}', b"[" * 100_000, b'"\\ud800"'])
def test_a_body_that_need_not_be_json_may_be_anything(body: bytes) -> None:
    """A030, A032, A033."""

    async def check() -> None:
        async with running() as house:
            answer = await house.post("make", body, Content_Type="application/octet-stream")
            assert answer.status_code == 202
            assert (await house.claim()).body == body

    asyncio.run(check())


def test_the_manifest_of_live_workers_says_where_a_job_waits() -> None:
    async def check() -> None:
        async with running() as house:
            await house.tell_handlers(("acme", "row.added"), queue="high")
            await house.post("acme", EVENT)
            assert house.redis.llen("rq:queue:high") == 1

    asyncio.run(check())


# -- signatures (A001 to A019) -----------------------------------------------------------------------------------------

Tamper = Callable[[dict[str, str], bytes, int], Iterable[tuple[bytes, bytes]]]


def changed(**headers: str | bytes | None) -> Tamper:
    """The signed headers with some replaced, or left out."""

    def tamper(signed: dict[str, str], _body: bytes, _now: int) -> list[tuple[bytes, bytes]]:
        kept: dict[str, str | bytes | None] = {name.lower(): value for name, value in signed.items()}
        kept |= {name.replace("_", "-").lower(): value for name, value in headers.items()}
        return [
            (name.encode(), value if isinstance(value, bytes) else value.encode("latin-1"))
            for name, value in kept.items()
            if value is not None
        ]

    return tamper


def acme_at(timestamp: str) -> Tamper:
    """A correct MAC over a timestamp that is none."""

    def tamper(_signed: dict[str, str], body: bytes, _now: int) -> list[tuple[bytes, bytes]]:
        sent = timestamp.encode()
        signature = "sha256=" + hex_hmac(SECRETS["acme"], sent + b"." + body)
        return [(b"x-acme-timestamp", sent), (b"x-acme-signature", signature.encode())]

    return tamper


def twice(name: str, *values: str) -> Tamper:
    """A header sent twice; an empty text stands for the right value."""

    def tamper(signed: dict[str, str], _body: bytes, _now: int) -> list[tuple[bytes, bytes]]:
        kept = {header.lower(): value for header, value in signed.items()}
        right = kept.pop(name)
        return [
            *((header.encode(), value.encode()) for header, value in kept.items()),
            *((name.encode(), (value or right).encode()) for value in values),
        ]

    return tamper


@pytest.mark.parametrize(
    ("source", "tamper"),
    [
        pytest.param("github", changed(X_Hub_Signature_256=None), id="missing"),
        pytest.param("github", changed(X_Hub_Signature_256=""), id="empty"),
        pytest.param("github", changed(X_Hub_Signature_256="sha256=" + "0" * 64), id="wrong"),
        pytest.param("github", changed(X_Hub_Signature_256="sha256=" + "0" * 10), id="truncated"),
        pytest.param("github", changed(X_Hub_Signature_256="SHA256=" + "0" * 64), id="prefix in capitals"),
        pytest.param("github", changed(X_Hub_Signature_256="sha256=\xe9"), id="not ASCII"),
        pytest.param("github", changed(X_Hub_Signature_256=b"sha256=\x00\t"), id="control characters"),
        pytest.param(
            "github", twice("x-hub-signature-256", "sha256=" + "0" * 64, ""), id="twice, bad and good"
        ),
        pytest.param(
            "github", twice("x-hub-signature-256", "", "sha256=" + "0" * 64), id="twice, good and bad"
        ),
        pytest.param("github", twice("x-hub-signature-256", "", ""), id="twice, good and good"),
        pytest.param("billing", changed(webhook_id="msg_2"), id="another id"),
        pytest.param("billing", changed(webhook_timestamp="1795293672"), id="another timestamp"),
        pytest.param("billing", changed(webhook_id=None), id="no id"),
        pytest.param("billing", changed(webhook_id="a.b"), id="an id with the separator"),
        pytest.param("billing", changed(webhook_id="x" * 300), id="an id that is too long"),
        pytest.param("billing", changed(webhook_id="../x y"), id="an id with a space"),
        pytest.param("billing", changed(webhook_signature="v1,A"), id="bad base64"),
        pytest.param("billing", changed(webhook_signature="v1,===="), id="only padding"),
        pytest.param("billing", changed(webhook_signature="v1,!!!!"), id="no base64"),
        pytest.param("billing", changed(webhook_signature="v2,g0hM9SsE"), id="another version"),
        pytest.param(
            "billing", changed(webhook_signature=" ".join(["v1,AAAA"] * 100)), id="a hundred signatures"
        ),
        *(
            pytest.param("acme", acme_at(timestamp), id=f"timestamp {timestamp[:12]!r}")
            for timestamp in (
                *("nan", "inf", "-inf", "1e9", "+5", " 123 ", "1_700_000_000", "٣٤٥", "0x65", "-1", ""),
                *("9" * 5000, "9" * 17, "1795293671.0", "0"),
            )
        ),
        pytest.param("make", changed(x_make_apikey=SECRETS["make"].upper()), id="a key in capitals"),
        pytest.param("make", changed(x_make_apikey=SECRETS["make"] + " "), id="a key and a space"),
        pytest.param("make", changed(x_make_apikey=SECRETS["make"][:-1]), id="a part of the key"),
        pytest.param("make", changed(x_make_apikey="\xff" * 5000), id="a long key that is not ASCII"),
        pytest.param(
            "narrow",
            changed(Authorization=f"Basic {SECRETS['narrow']}"),
            id="another scheme of authorisation",
        ),
        pytest.param("narrow", changed(Authorization=f"Bearer {API_KEY}"), id="the key of the API"),
        pytest.param("narrow", changed(Authorization="Bearer"), id="no key"),
        pytest.param(
            "forgotten", changed(X_Hub_Signature_256="sha256=" + hex_hmac("", b"{}")), id="the empty secret"
        ),
    ],
)
def test_every_fault_of_a_signature_gets_the_same_answer_and_leaves_nothing(
    source: str, tamper: Tamper
) -> None:
    """A001, A002, A005, A011, A012, A015 to A017, A043."""

    async def check() -> None:
        async with running() as house:
            now = int(house.clock.now().timestamp())
            signed = house.signed(source, b"{}") if house.sources[source].secrets else {}
            answer = await house.http.post(
                f"/hooks/{source}", content=b"{}", headers=list(tamper(signed, b"{}", now))
            )
            members = refused(answer, 401, "signature_invalid", house)
            assert members.keys() == {"type", "title", "status", "code"}

    asyncio.run(check())


@pytest.mark.parametrize("source", ["fireflies", "github", "acme", "billing", "located"])
def test_a_body_that_is_changed_by_one_byte_gets_401(source: str) -> None:
    """A009, A010."""

    async def check() -> None:
        async with running() as house:
            body = b'{"type":"a"}'
            signed = house.signed(source, body)
            for other in (body + b" ", body[:-1], body.replace(b"a", b"b"), b"", b'{"type": "a"}'):
                answer = await house.http.post(f"/hooks/{source}", content=other, headers=signed)
                refused(answer, 401, "signature_invalid", house)

    asyncio.run(check())


@pytest.mark.parametrize("source", SECRETS)
def test_a_secret_is_worth_nothing_at_another_source(source: str) -> None:
    """A008."""

    async def check() -> None:
        async with running() as house:
            keys = house.sources[source].secrets
            for other in SECRETS.keys() - {source}:
                scheme = house.sources[other].scheme
                signed = scheme.sign(
                    b"{}",
                    keys,
                    now=house.clock.now(),
                    message_id="m",
                    url=f"https://hooks.example.com/hooks/{other}",
                )
                headers = [
                    (name.encode(), value.encode("utf-8", "surrogateescape"))
                    for name, value in signed.items()
                ]
                answer = await house.http.post(f"/hooks/{other}", content=b"{}", headers=headers)
                refused(answer, 401, "signature_invalid", house)

    asyncio.run(check())


@pytest.mark.parametrize(("seconds", "status"), [(-301, 401), (-300, 202), (0, 202), (300, 202), (301, 401)])
def test_a_timestamp_may_be_five_minutes_off(seconds: int, status: int) -> None:
    """A026."""

    async def check() -> None:
        async with running() as house:
            sent = str(int(house.clock.now().timestamp()) + seconds)
            signature = "sha256=" + hex_hmac(SECRETS["acme"], sent.encode() + b".{}")
            answer = await house.post("acme", b"{}", X_Acme_Timestamp=sent, X_Acme_Signature=signature)
            assert answer.status_code == status

    asyncio.run(check())


def test_why_a_signature_was_refused_is_in_the_log_and_nowhere_else(caplog: pytest.LogCaptureFixture) -> None:
    async def check() -> None:
        async with running() as house:
            with caplog.at_level("INFO", "ingest"):
                answer = await house.post("github", b"{}", X_Hub_Signature_256="sha256=00")
            (line,) = caplog.records
            assert vars(line)["path"] == "/hooks/github"
            assert vars(line)["because"] == "the signature isn't as long as one by sha256"
            assert vars(line)["evidence"] == {"header": "X-Hub-Signature-256", "bytes": 1}
            assert "long" not in answer.text
            assert SECRETS["github"] not in caplog.text

    asyncio.run(check())


# -- bodies (A027 to A041) ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"{",
        b'{"a":1}{"b":2}',
        b'{"a":1,}',
        b"// a\n{}",
        b'{"a":NaN}',
        b"[-Infinity]",
        b"1e999",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"[" * 65 + b"]" * 65,
        b"9" * 5000,
        b'"\\ud800"',
        b'{"\\udfff":1}',
        b'{"type":"\\ud800"}',
        b'{"callback_url":"https://a.example","callback_url":"https://b.example"}',
        '{"a":"é"}'.encode("utf-16"),
        b"\xef\xbb\xbf{}",
        b'{"a":"\xc0\x80"}',
        b'{"a":"\x00"}',
        b"\xff\xfe",
    ],
)
@pytest.mark.parametrize("source", ["fireflies", "acme", "github"])
def test_json_that_could_be_read_in_two_ways_is_400_once_the_signature_held(source: str, body: bytes) -> None:
    """A030 to A037."""

    async def check() -> None:
        async with running() as house:
            members = refused(await house.post(source, body), 400, "body_malformed", house)
            assert len(members["detail"]) < 100

    asyncio.run(check())


@pytest.mark.parametrize(
    "body", [b"42", b"null", b"[]", b'"text"', b'{"__proto__":1,"py/object":"os.system"}']
)
def test_json_of_any_shape_is_inert(body: bytes) -> None:
    """A037, A038."""

    async def check() -> None:
        async with running() as house:
            answer = await house.post("acme", body)
            assert answer.status_code == 202
            claim = await house.claim()
            assert (claim.type, claim.body, claim.metadata) == ("event", body, {})

    asyncio.run(check())


@pytest.mark.parametrize(
    "encoding", ["gzip", "br", "zstd", "deflate", "GZIP", "identity, gzip", "gzip, gzip", "nonsense"]
)
def test_a_compressed_body_is_415_whatever_its_signature(encoding: str) -> None:
    """A029."""

    async def check() -> None:
        async with running() as house:
            body = gzip.compress(b"0" * 100_000)
            refused(
                await house.post("acme", body, Content_Encoding=encoding), 415, "encoding_unsupported", house
            )

    asyncio.run(check())


@pytest.mark.parametrize("encoding", ["identity", "Identity", " "])
def test_a_body_that_says_it_is_not_compressed_is_taken(encoding: str) -> None:
    async def check() -> None:
        async with running() as house:
            assert (await house.post("acme", EVENT, Content_Encoding=encoding)).status_code == 202

    asyncio.run(check())


@pytest.mark.parametrize(("source", "most"), [("narrow", 1024), ("acme", 1 << 20)])
def test_the_largest_body_is_taken_and_one_byte_more_is_not(source: str, most: int) -> None:
    async def check() -> None:
        async with running() as house:
            body = b'"' + b"x" * (most - 2) + b'"'
            answer = await house.post(source, body + b" ")
            members = refused(answer, 413, "body_too_large", house)
            assert str(most) in members["detail"]
            assert answer.headers["Connection"] == "close"
            assert (await house.post(source, body)).status_code == 202

    asyncio.run(check())


def test_a_body_of_a_hundred_thousand_keys_is_taken_in_no_time() -> None:
    """A038."""

    async def check() -> None:
        async with running() as house:
            body = json.dumps({f"k{n}": n for n in range(60_000)}).encode()
            began = time.monotonic()
            assert (await house.post("acme", body)).status_code == 202
            assert time.monotonic() - began < 2

    asyncio.run(check())


# -- addresses, methods, headers (A042 to A053) ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "nobody",
        "ACME",
        "acme%00",
        "acme%0d%0aX-A:b",
        "%61cme%20",
        "acme;a",
        "api",
        "..%5cacme",
        "é",
        "x" * 5000,
    ],
)
@pytest.mark.parametrize("method", ["POST", "GET", "DELETE"])
def test_a_source_that_is_not_there_is_404_by_any_method(name: str, method: str) -> None:
    """A042, A043."""

    async def check() -> None:
        async with running() as house:
            answer = await house.http.request(method, f"/hooks/{name}", headers=house.signed("acme", b""))
            refused(answer, 404, "source_unknown", house)

    asyncio.run(check())


@pytest.mark.parametrize(
    "path",
    [
        "/hooks/acme/",
        "/hooks/",
        "/hooks",
        "/hooks//acme",
        "//hooks/acme",
        "/hooks/acme%2Fx",
        "/hooks/../jobs/",
    ],
)
def test_an_address_that_is_nearly_one_is_404_and_no_redirect(path: str) -> None:
    """A042."""

    async def check() -> None:
        async with running() as house:
            answer = await house.http.request(
                "POST",
                httpx.URL("http://hookline", raw_path=path.encode()),
                headers=house.signed("acme", b""),
            )
            refused(answer, 404, "not_found", house)

    asyncio.run(check())


@pytest.mark.parametrize(
    "method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "QUERY", "post"]
)
def test_only_post_is_taken(method: str) -> None:
    """A044."""

    async def check() -> None:
        async with running() as house:
            answer = await house.http.send(
                httpx.Request(
                    method, "http://hookline/hooks/acme", content=b"{}", headers=house.signed("acme", b"{}")
                )
            )
            if method == "post":  # httpx writes it in capitals
                assert answer.status_code == 202
                return
            assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")
            assert house.stored() == set()

    asyncio.run(check())


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param([(b"x-long", b"x" * 17_000)], id="one long"),
        pytest.param([(b"x" * 17_000, b"x")], id="a long name"),
        pytest.param([(b"x", b"x" * 200)] * 90, id="much in all"),
        pytest.param([(b"x", b"")] * (MOST_HEADERS + 1), id="too many"),
    ],
)
@pytest.mark.parametrize(
    "path", ["/hooks/acme", "/jobs", "/jobs/job_00000000000000000000000000", "/healthz", "/nowhere"]
)
def test_headers_beyond_the_bounds_are_431_everywhere(path: str, headers: list[tuple[bytes, bytes]]) -> None:
    """A051."""

    async def check() -> None:
        async with running() as house:
            answer = await house.http.post(path, content=b"{}", headers=headers)
            refused(answer, 431, "headers_too_large", house)
            assert answer.headers["Connection"] == "close"

    asyncio.run(check())


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param([("Host", "a.example"), ("Host", "b.example")], id="two hosts"),
        pytest.param([("Host", "a.example"), ("host", "a.example")], id="the same host twice"),
        pytest.param([("Content-Length", "2"), ("Content-Length", "3")], id="two lengths"),
        pytest.param([("Content-Length", "2"), ("Transfer-Encoding", "chunked")], id="a length and chunks"),
        pytest.param(
            [("Transfer-Encoding", "chunked"), ("Transfer-Encoding", "identity")], id="two encodings"
        ),
    ],
)
def test_a_request_that_two_readers_would_frame_differently_is_400(headers: list[tuple[str, str]]) -> None:
    """A045."""

    async def check() -> None:
        async with running() as house:
            sent = [*house.signed("acme", b"{}").items(), *headers]
            request = httpx.Request(
                "POST", "http://hookline/hooks/acme", stream=httpx.ByteStream(b"{}"), headers=sent
            )
            answer = await house.http.send(request)
            refused(answer, 400, "framing_ambiguous", house)
            assert answer.headers["Connection"] == "close"

    asyncio.run(check())


def test_what_a_sender_names_is_bounded_before_it_is_kept() -> None:
    """A052."""

    async def check() -> None:
        async with running() as house:
            event = {"type": "\x1b[31m\n" + "t" * 10_000, "callback_url": "https://a.example/" + "x" * 10_000}
            answer = await house.post("acme", event, X_Acme_Delivery="d" * 10_000)
            record = await house.ledger.reading.event(answer.json()["event_id"])
            job = await house.ledger.reading.job(answer.json()["job_id"])
            assert record is not None
            assert job is not None
            assert job.callback is not None
            assert (len(record.type), record.type[:3]) == (128, "\ufffd[3")
            assert len(record.provider_event_id or "") < 100
            assert len(job.callback.url) < 2100
            assert max(map(len, house.stored())) < 200

    asyncio.run(check())


# -- what a scheme does not vouch for ----------------------------------------------------------------------------------


def test_a_signature_that_covers_no_body_gives_no_link_and_no_look_at_a_job() -> None:
    async def check() -> None:
        async with running() as house:
            await house.post("loose", {"id": "e1", "secret": "of another"})
            await house.finish(await house.claim(), {"secret": "result"})
            forged = await house.post("loose", {"id": "e1"}, Prefer="wait=10")
            assert forged.status_code == 200
            assert forged.json().keys() == {"event_id", "job_id", "status", "duplicate"}
            assert "Preference-Applied" not in forged.headers

    asyncio.run(check())


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest",
        "https://10.0.0.1/",
        "ftp://a.example/",
        "nonsense",
        "https://a.example/\u0000",
        "http://127.0.0.2/",
        "https://evil.example@127.0.0.1/",
    ],
)
def test_a_callback_url_that_is_refused_costs_the_callback_alone(url: str) -> None:
    async def check() -> None:
        async with running() as house:
            answer = await house.post("acme", {"callback_url": url})
            assert answer.status_code == 202
            await house.finish(await house.claim())
            job = await house.ledger.reading.job(answer.json()["job_id"])
            assert job is not None
            assert job.callback is not None
            assert (job.callback.status, job.callback.url) == ("blocked", url)

    asyncio.run(check())


# -- waiting -----------------------------------------------------------------------------------------------------------


def test_who_prefers_to_wait_gets_the_job_when_it_ends() -> None:
    async def check() -> None:
        async with running() as house:
            waiting = asyncio.create_task(house.post("acme", EVENT, Prefer="wait=30"))
            await until(lambda: house.redis.llen("rq:queue:default"))
            await house.finish(await house.claim(), {"answer": 42})
            answer = await waiting
            assert (answer.status_code, answer.headers["Preference-Applied"]) == (200, "wait=30")
            assert (answer.json()["status"], answer.json()["result"]) == ("finished", {"answer": 42})

    asyncio.run(check())


def test_who_waits_in_vain_gets_202() -> None:
    async def check() -> None:
        async with running() as house:
            answer = await house.post("acme", EVENT, Prefer="wait=1")
            assert (answer.status_code, answer.headers["Preference-Applied"]) == (202, "wait=1")
            assert answer.json()["status"] == "queued"

    asyncio.run(check())


# -- Redis -------------------------------------------------------------------------------------------------------------


def test_nothing_is_promised_while_redis_is_down_and_all_is_well_when_it_is_back() -> None:
    async def check() -> None:
        async with running() as house:
            server = house.redis.connection_pool.connection_kwargs["server"]
            server.connected = False
            for _ in range(20):
                answer = await house.post("fireflies", EVENT)
                assert_problem(answer, 503, "not_recorded")
                assert answer.headers["Retry-After"] == "5"
            server.connected = True
            assert (await house.post("fireflies", EVENT)).status_code == 202

    asyncio.run(check())
