"""Whatever a stranger sends: one of the contract's answers, and nothing but a 2xx leaves a key in Redis."""

import json
from urllib.parse import quote

import httpx
from hypothesis import example, given
from hypothesis import strategies as st

from tests.unit.ingest.application import API_KEY, PROBLEM, House, lasting

RECEIVING = {200, 202, 400, 401, 413, 415, 431}
SUBMITTING = {202, 400, 401, 403, 413, 422}
READING = {401, 404, 405, 422}  # 405: `.` and the like lead to other addresses

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats()
    | st.text(st.characters(exclude_categories=())),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "type",
                    "event",
                    "eventType",
                    "meeting_id",
                    "id",
                    "callback_url",
                    "metadata",
                    "client_reference_id",
                    "a",
                ]
            ),
            inner,
            max_size=6,
        )
    ),
    max_leaves=20,
)
bodies = (
    st.binary(max_size=300)
    | json_values.map(lambda value: json.dumps(value).encode())
    | json_values.map(lambda value: json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass"))
    | st.integers(1, 100_000).map(lambda depth: b"[" * depth)
    | st.sampled_from([b"", b"{}", b'"\\ud800"', b'{"a":1,"a":2}', b"\xef\xbb\xbf{}", b"[NaN]", b"9" * 5000])
)
headers = st.dictionaries(
    st.sampled_from(
        [
            *(
                b"x-hub-signature",
                b"x-hub-signature-256",
                b"x-make-apikey",
                b"x-acme-signature",
                b"authorization",
            ),
            *(
                b"x-acme-timestamp",
                b"x-acme-delivery",
                b"webhook-id",
                b"webhook-timestamp",
                b"webhook-signature",
            ),
            *(
                b"x-github-event",
                b"x-github-delivery",
                b"x-event-type",
                b"idempotency-key",
                b"content-type",
                b"content-encoding",
            ),
            *(b"content-length", b"transfer-encoding", b"host", b"cookie", b"x"),
        ]
    ),
    st.binary(max_size=40)
    | st.sampled_from(
        [
            b"application/json",
            b"application/x-www-form-urlencoded",
            b"gzip",
            b"identity",
            b"sha256=00",
            b"v1,AAAA",
        ]
    )
    | st.text("0123456789", max_size=20).map(str.encode)
    | st.sampled_from([1, 5_000, 20_000]).map(lambda size: b"x" * size),
    max_size=6,
)


def assert_one_of_ours(answer: httpx.Response, statuses: set[int], house: House) -> None:
    assert answer.status_code in statuses, answer.text
    if answer.status_code >= 400:
        assert answer.headers["Content-Type"] == PROBLEM
        assert answer.json()["status"] == answer.status_code
        assert len(answer.content) < 1_000
        assert house.stored() == set()
    else:
        told = answer.json()
        for each in told if isinstance(told, list) else [told]:
            assert {"event_id", "job_id"} <= each.keys()


def test_whatever_is_posted_to_a_source_has_an_answer_of_the_contract() -> None:
    with lasting() as (house, run):

        @given(
            st.sampled_from(["acme", "billing", "make", "fireflies", "github"]),
            st.booleans(),
            bodies,
            headers,
        )
        @example("github", True, b"payload=%7B%7D", {b"content-type": b"application/x-www-form-urlencoded"})
        @example("acme", True, b'{"type":"\\u0000\\n"}', {b"x-acme-delivery": b"rq:job:1"})
        @example("make", True, b"", {b"content-length": b"9" * 5000})
        def check(source: str, signed: bool, body: bytes, sent: dict[bytes, bytes]) -> None:
            made = house.signed(source, body) if signed else {}
            pairs = {name.lower().encode(): value.encode() for name, value in made.items()} | sent
            run(_post(house, source, body, list(pairs.items())))

        check()


async def _post(house: House, source: str, body: bytes, pairs: list[tuple[bytes, bytes]]) -> None:
    house.redis.flushall()
    url = f"http://hookline/hooks/{source}"
    answer = await house.http.send(httpx.Request("POST", url, stream=httpx.ByteStream(body), headers=pairs))
    assert_one_of_ours(answer, RECEIVING, house)
    if answer.status_code in (200, 202):
        path = f"/jobs/{answer.json()['job_id']}"
        assert (await house.http.get(path, headers={"Authorization": f"Bearer {API_KEY}"})).status_code == 200
        event = await house.ledger.reading.event(answer.json()["event_id"])
        assert event is not None
        assert event.body == body


def test_whatever_is_posted_to_the_api_has_an_answer_of_the_contract() -> None:
    with lasting() as (house, run):

        @given(bodies, st.sampled_from([API_KEY, "", "wrong"]))
        def check(body: bytes, key: str) -> None:
            run(_submit(house, body, key))

        check()


async def _submit(house: House, body: bytes, key: str) -> None:
    house.redis.flushall()
    assert_one_of_ours(await house.submit(body, key=key), SUBMITTING, house)


_IDS = st.text().filter(lambda text: text != ".")  # a client makes /jobs of /jobs/. before it asks


def test_whatever_job_is_asked_for_has_an_answer_of_the_contract() -> None:
    with lasting() as (house, run):

        @given(_IDS, st.text() | st.from_regex(r"((token|wait|a)=[^&]*&){0,20}"), st.booleans())
        def check(job_id: str, query: str, keyed: bool) -> None:
            run(_read(house, job_id, query, keyed=keyed))

        check()


async def _read(house: House, job_id: str, query: str, *, keyed: bool) -> None:
    raw_path = f"/jobs/{quote(job_id, safe='')}?{quote(query, safe='=&')}"
    url = httpx.URL("http://hookline", raw_path=raw_path.encode())
    answer = await house.http.get(url, headers={"Authorization": f"Bearer {API_KEY}"} if keyed else {})
    assert_one_of_ours(answer, READING, house)
