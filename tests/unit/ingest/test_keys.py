"""Who may do what, at the API."""

import asyncio
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.clock import ManualClock
from infra.ids import EVENT, JOB
from infra.links import Links
from infra.setting_values import ApiKey
from infra.signatures import Headers
from ingest.keys import Keys
from ingest.problems import Problem
from tests.unit.ingest.application import (
    API_KEY,
    NOW,
    READ_KEY,
    SECRETS,
    SUBMIT_KEY,
    assert_problem,
    running,
)

LINKS = Links(["k"], public_url=None, ttl=timedelta(days=7), clock=ManualClock(NOW))
KEYS = Keys([ApiKey("all", API_KEY), ApiKey("reader", READ_KEY, frozenset({"read"}))], LINKS)


def sent(*values: str | bytes) -> Headers:
    return Headers(
        [
            (b"authorization", value if isinstance(value, bytes) else value.encode("latin-1"))
            for value in values
        ]
    )


@pytest.mark.parametrize("word", ["Bearer", "bearer", "BEARER"])
def test_a_key_is_known_by_its_name(word: str) -> None:
    assert KEYS.require(sent(f"{word} {API_KEY}"), "submit").name == "all"
    assert KEYS.require(sent(f"{word}   {READ_KEY} "), "read").name == "reader"


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param(sent(), id="none"),
        pytest.param(sent(""), id="empty"),
        pytest.param(sent("Bearer"), id="no key"),
        pytest.param(sent("Bearer "), id="an empty key"),
        pytest.param(sent(API_KEY), id="no word"),
        pytest.param(sent(f"Basic {API_KEY}"), id="another word"),
        pytest.param(sent("Basic !!!"), id="basic, malformed"),
        pytest.param(sent("Basic bm9jb2xvbg=="), id="basic, without a colon"),
        pytest.param(sent(f"Bearer {API_KEY[:-1]}"), id="a part"),
        pytest.param(sent(f"Bearer {API_KEY}x"), id="more than it"),
        pytest.param(sent(f"Bearer {API_KEY.upper()}"), id="in capitals"),
        pytest.param(sent(f"Bearer {API_KEY} {API_KEY}"), id="twice in one"),
        pytest.param(sent(f"Bearer {API_KEY}", f"Bearer {API_KEY}"), id="two headers"),
        pytest.param(sent("Bearer wrong", f"Bearer {API_KEY}"), id="two headers, one right"),
        pytest.param(sent(b"Bearer \xff\xfe"), id="not UTF-8"),
        pytest.param(sent("Bearer é"), id="not ASCII"),
        pytest.param(sent("Bearer " + "x" * 1_000_000), id="a megabyte"),
        pytest.param(sent(f"Bearer {API_KEY}\x00"), id="a NUL behind it"),
    ],
)
def test_whatever_is_not_one_of_our_keys_is_401(headers: Headers) -> None:
    """A083."""
    with pytest.raises(Problem) as caught:
        KEYS.require(headers, "read")
    assert (caught.value.kind.status, caught.value.kind.code) == (401, "unauthorized")
    assert caught.value.headers["WWW-Authenticate"] == "Bearer"


@given(value=st.binary(max_size=200))
def test_nobody_guesses_a_key_or_makes_us_fail(value: bytes) -> None:
    """A083."""
    with pytest.raises(Problem) as caught:
        KEYS.require(Headers([(b"authorization", b"Bearer " + value)]), "read")
    assert caught.value.kind.status == 401


def test_a_key_without_the_scope_is_403_and_the_scope_is_named() -> None:
    with pytest.raises(Problem) as caught:
        KEYS.require(sent(f"Bearer {READ_KEY}"), "submit")
    assert (caught.value.kind.status, caught.value.detail) == (403, "It lacks the scope 'submit'.")


def test_without_keys_the_api_is_closed() -> None:
    with pytest.raises(Problem, match="API key"):
        Keys([], LINKS).require(sent("Bearer "), "read")


def test_the_keys_of_senders_open_nothing_at_the_api() -> None:
    async def check() -> None:
        async with running() as house:
            for secret in SECRETS.values():
                assert_problem(await house.submit({"type": "a"}, key=secret), 401, "unauthorized")

    asyncio.run(check())


# -- the links of single jobs (A090 to A092) ---------------------------------------------------------------------------


def test_a_link_reads_its_job_and_does_nothing_else() -> None:
    """A090, A092."""

    async def check() -> None:
        async with running() as house:
            one, other = [(await house.submit({"type": "a"}, key=SUBMIT_KEY)).json() for _ in range(2)]
            token = one["status_url"].partition("?token=")[2]
            assert (await house.http.get(one["status_url"])).status_code == 200
            assert (await house.http.head(one["status_url"])).status_code == 200

            assert_problem(await house.http.get(f"/jobs/{other['job_id']}?token={token}"), 404, "not_found")
            assert_problem(await house.http.get(f"/jobs/{one['event_id']}?token={token}"), 404, "not_found")
            assert_problem(
                await house.http.post(f"/jobs?token={token}", json={"type": "a"}), 401, "unauthorized"
            )
            for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
                answer = await house.http.request(method, one["status_url"])
                assert_problem(answer, 405, "method_not_allowed")
                assert answer.headers["Allow"] == "GET, HEAD"

    asyncio.run(check())


@pytest.mark.parametrize(
    "token", ["x", "a.b.c", "..", "%00", "%ff%fe", "%F0%9F%92%A9", "job_1.x.y", "." * 1000, "x" * 60_000]
)
def test_a_token_that_proves_nothing_is_401_whether_or_not_there_is_such_a_job(token: str) -> None:
    """A090."""

    async def check() -> None:
        async with running() as house:
            told = (await house.submit({"type": "a"})).json()
            for job_id in (told["job_id"], JOB + "0" * 26, "nonsense"):
                assert_problem(await house.http.get(f"/jobs/{job_id}?token={token}"), 401, "unauthorized")

    asyncio.run(check())


def test_a_link_expires_and_lives_through_a_rotation() -> None:
    """A090."""

    async def check() -> None:
        async with running() as house:
            told = (await house.submit({"type": "a"})).json()
            old = Links(["old-key"], public_url=None, ttl=timedelta(days=7), clock=house.clock)
            gone = Links(["taken-out"], public_url=None, ttl=timedelta(days=7), clock=house.clock)
            by_old, by_gone = old.status_url(told["job_id"]), gone.status_url(told["job_id"])
            urls = (told["status_url"], by_old, by_gone)
            assert [(await house.http.get(url)).status_code for url in urls] == [200, 200, 401]
            house.clock.advance(timedelta(days=7, seconds=1))
            assert [(await house.http.get(url)).status_code for url in urls] == [401, 401, 401]

    asyncio.run(check())


def test_who_may_only_submit_may_not_read() -> None:
    async def check() -> None:
        async with running() as house:
            told = (await house.submit({"type": "a"}, key=SUBMIT_KEY)).json()
            for key, status in ((SUBMIT_KEY, 403), (READ_KEY, 200), ("nobody's", 401)):
                answer = await house.http.get(
                    f"/jobs/{told['job_id']}", headers={"Authorization": f"Bearer {key}"}
                )
                assert answer.status_code == status

    asyncio.run(check())


@pytest.mark.parametrize(
    "job_id", ["job_", "job_" + "0" * 26, "nonsense", "job_%00", "..%5cx", EVENT + "0" * 26, "é", "x" * 5000]
)
def test_a_job_that_is_not_there_is_404(job_id: str) -> None:
    async def check() -> None:
        async with running() as house:
            answer = await house.http.get(f"/jobs/{job_id}", headers={"Authorization": f"Bearer {API_KEY}"})
            assert_problem(answer, 404, "not_found")

    asyncio.run(check())
