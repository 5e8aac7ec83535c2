"""``POST /jobs``: what is taken, what is refused and where, and that a batch is all or nothing."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.bounds import MOST_METADATA
from infra.egress import EgressPolicy
from ingest.api.submission import MOST_IN_A_BATCH, read_submissions
from ingest.problems import Problem
from tests.unit.ingest.application import API_KEY, NOW, SUBMIT_KEY, WHSEC, assert_problem, running

POLICY = EgressPolicy()


def due(**fields: Any) -> datetime | None:
    (submission,), _ = read_submissions(json.dumps({"type": "a", **fields}).encode(), policy=POLICY, now=NOW)
    return submission.due(NOW)


def refusal(content: Any) -> tuple[int, str]:
    """The status and detail that a body is refused with."""
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    with pytest.raises(Problem) as caught:
        read_submissions(body, policy=POLICY, now=NOW)
    return caught.value.kind.status, caught.value.detail or ""


# -- what is taken -----------------------------------------------------------------------------------------------------


def test_a_submission_becomes_an_event_of_the_source_api() -> None:
    async def check() -> None:
        async with running() as house:
            told = await house.submit(
                {
                    "type": "report",
                    "payload": {"ü": [1, 2.5, None]},
                    "metadata": {"order": 7},
                    "tag": "blue",
                    "queue": "default",
                }
            )
            assert told.status_code == 202
            assert told.json().keys() == {"event_id", "job_id", "status", "duplicate", "status_url"}
            event = await house.ledger.reading.event(told.json()["event_id"])
            assert event is not None
            assert (event.source, event.type, event.tag, event.accepted_by) == (
                "api",
                "report",
                "blue",
                "all",
            )
            assert event.body == '{"ü":[1,2.5,null]}'.encode()
            assert (event.metadata, event.headers) == ({"order": 7}, {})

    asyncio.run(check())


@pytest.mark.parametrize(("key", "secret_of"), [(SUBMIT_KEY, "sender"), (API_KEY, None)])
def test_whose_secret_signs_its_callback_is_settled_when_a_job_is_taken(
    key: str, secret_of: str | None
) -> None:
    """And stays so, whoever replays it. Of the secret itself, nothing is stored."""

    async def check() -> None:
        settings = {"HOOKLINE_API_KEY_CALLBACK_SECRETS": f"sender:{WHSEC}"}
        async with running(settings=settings) as house:
            wanted = {"type": "a", "callback_url": "https://127.0.0.1/inbox"}
            event_id = (await house.submit(wanted, key=key)).json()["event_id"]
            replay = {"payload": {"other": 1}}
            assert (
                await house.http.post(
                    f"/events/{event_id}/replay", json=replay, headers={"Authorization": f"Bearer {API_KEY}"}
                )
            ).status_code == 202
            for turn in (1, 2):
                claim = await house.claim(sequence=turn)
                assert claim.callback_options.secret_of == secret_of
                await house.finish(claim)
            due, _ = await house.ledger.callbacks.due("s", sequence=1, most=9, hold=timedelta(minutes=1))
            assert [one.options.secret_of for one in due] == [secret_of, secret_of]
            assert not any(
                WHSEC.removeprefix("whsec_").encode() in kept for kept in house.contents().values()
            )

    asyncio.run(check())


@pytest.mark.parametrize(
    ("fields", "wait"),
    [
        ({}, None),
        ({"run_in": 0}, None),
        ({"run_in": "0s"}, None),
        ({"run_in": 90}, timedelta(seconds=90)),
        ({"run_in": 0.25}, timedelta(milliseconds=250)),
        ({"run_in": "15m"}, timedelta(minutes=15)),
        ({"run_in": "365d"}, timedelta(days=365)),
        ({"run_at": "2026-11-21T20:41:12Z"}, timedelta(seconds=1)),
        ({"run_at": "2026-11-21T21:41:12+01:00"}, timedelta(seconds=1)),
        ({"run_at": "2026-11-21T20:41:11Z"}, None),
        ({"run_at": "1970-01-01T00:00:00Z"}, None),
        ({"run_at": "0001-01-01T00:00:00+14:00"}, None),
    ],
)
def test_a_job_may_be_wanted_for_later(fields: dict[str, Any], wait: timedelta | None) -> None:
    moment = due(**fields)
    assert moment == (None if wait is None else NOW + wait)
    assert moment is None or moment.tzinfo is UTC


def test_a_job_for_later_is_scheduled_by_the_clock_of_redis() -> None:
    """The web's own, which stands still here, may be wrong by any time."""

    async def check() -> None:
        async with running() as house:
            told = (await house.submit({"type": "a", "run_in": "1h"})).json()
            job = await house.ledger.reading.job(told["job_id"])
            assert job is not None
            assert (told["status"], job.status) == ("scheduled", "scheduled")
            assert job.next_attempt_at == job.created_at + timedelta(hours=1)
            assert abs(job.created_at - house.clock.now()) > timedelta(hours=1)

    asyncio.run(check())


def test_a_job_for_a_moment_is_scheduled_for_it() -> None:
    async def check() -> None:
        async with running() as house:
            moment = datetime(2026, 12, 1, 8, tzinfo=UTC)
            told = (await house.submit({"type": "a", "run_at": moment.isoformat()})).json()
            job = await house.ledger.reading.job(told["job_id"])
            assert job is not None
            assert job.next_attempt_at == moment

    asyncio.run(check())


def test_an_idempotency_key_is_good_for_one_type_and_payload() -> None:
    async def check() -> None:
        async with running() as house:
            first = await house.submit({"type": "a", "payload": 1, "idempotency_key": "k"})
            again = await house.submit({"type": "a", "payload": 1, "idempotency_key": "k"})
            assert (first.status_code, again.status_code) == (202, 200)
            assert again.json()["duplicate"] is True
            for changed in ({"payload": 2}, {"type": "b"}):
                other = await house.submit({"type": "a", "payload": 1, "idempotency_key": "k"} | changed)
                told = assert_problem(other, 409, "idempotency_conflict")
                assert (told["event_id"], told["job_id"]) == (
                    first.json()["event_id"],
                    first.json()["job_id"],
                )
            assert house.redis.llen("rq:queue:default") == 1

    asyncio.run(check())


def test_a_request_may_have_the_key_in_a_header() -> None:
    async def check() -> None:
        async with running() as house:
            batch = [{"type": "a"}, {"type": "a", "idempotency_key": "own"}]
            for duplicate in (False, True):
                told = (await house.submit({"type": "a", "payload": 1}, Idempotency_Key="k")).json()
                those = (await house.submit(batch, Idempotency_Key="k")).json()
                assert [one["duplicate"] for one in (told, *those)] == [duplicate] * 3
            other = await house.submit({"type": "a", "payload": 2}, Idempotency_Key="k")
            assert_problem(other, 409, "idempotency_conflict")
            assert (await house.submit({"type": "a", "idempotency_key": "own"})).status_code == 200
            assert house.redis.llen("rq:queue:default") == 3

    asyncio.run(check())


def test_without_a_key_the_same_job_twice_is_two_jobs() -> None:
    async def check() -> None:
        async with running() as house:
            assert [(await house.submit({"type": "a"})).status_code for _ in range(2)] == [202, 202]

    asyncio.run(check())


# -- what is refused, and where ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("text", "got `str` - at `$`"),
        (7, "got `int` - at `$`"),
        (None, "got `null` - at `$`"),
        ({}, "missing required field `type` - at `$`"),
        ({"type": 7}, "got `int` - at `$.type`"),
        ({"type": ""}, "at `$.type`"),
        ({"type": "x" * 129}, "at `$.type`"),
        ({"type": "a\nb"}, "at `$.type`"),
        ({"type": "\x1b[31m"}, "at `$.type`"),
        ({"type": "\u202e"}, "at `$.type`"),
        ({"type": "a", "unknown": 1}, "unknown field `unknown` - at `$`"),
        ({"type": "a", "queue": ""}, "at `$.queue`"),
        ({"type": "a", "queue": "a b"}, "at `$.queue`"),
        ({"type": "a", "queue": "a:b"}, "at `$.queue`"),
        ({"type": "a", "queue": "é"}, "at `$.queue`"),
        ({"type": "a", "queue": "-a"}, "at `$.queue`"),
        ({"type": "a", "queue": "x" * 64}, "at `$.queue`"),
        ({"type": "a", "queue": "a\n"}, "at `$.queue`"),
        ({"type": "a", "tag": ""}, "at `$.tag`"),
        ({"type": "a", "tag": "\x00"}, "at `$.tag`"),
        ({"type": "a", "idempotency_key": ""}, "at `$.idempotency_key`"),
        ({"type": "a", "idempotency_key": "x" * 129}, "at `$.idempotency_key`"),
        ({"type": "a", "idempotency_key": 7}, "at `$.idempotency_key`"),
        ({"type": "a", "metadata": []}, "at `$.metadata`"),
        ({"type": "a", "metadata": {"a": "x" * MOST_METADATA}}, "at `$.metadata`"),
        ({"type": "a", "run_in": -1}, "past - at `$.run_in`"),
        ({"type": "a", "run_in": -0.001}, "past - at `$.run_in`"),
        ({"type": "a", "run_in": True}, "at `$.run_in`"),
        ({"type": "a", "run_in": []}, "at `$.run_in`"),
        ({"type": "a", "run_in": "soon"}, "at `$.run_in`"),
        ({"type": "a", "run_in": "15"}, "at `$.run_in`"),
        ({"type": "a", "run_in": "-1s"}, "at `$.run_in`"),
        ({"type": "a", "run_in": "nan"}, "at `$.run_in`"),
        ({"type": "a", "run_in": 10**400}, "at `$"),
        ({"type": "a", "run_in": 1e300}, "at `$.run_in`"),
        ({"type": "a", "run_in": "999999999d"}, "at `$"),
        ({"type": "a", "run_in": "366d"}, "year ahead - at `$`"),
        ({"type": "a", "run_at": "2027-11-22T20:41:11Z"}, "year ahead - at `$`"),
        ({"type": "a", "run_at": "9999-12-31T23:59:59-14:00"}, "year ahead - at `$`"),
        ({"type": "a", "run_at": "2026-11-22T00:00:00"}, "offset from UTC, such as Z - at `$.run_at`"),
        ({"type": "a", "run_at": "tomorrow"}, "at `$.run_at`"),
        ({"type": "a", "run_at": 1795293671}, "at `$.run_at`"),
        ({"type": "a", "run_at": "2026-11-22T00:00:00Z", "run_in": 1}, "not both - at `$`"),
        ({"type": "a", "callback_url": 7}, "at `$.callback_url`"),
        ({"type": "a", "callback_format": "xml"}, "at `$.callback_format`"),
        ({"type": "a", "callback_events": ["finished"]}, "at `$.callback_events[0]`"),
        ({"type": "a", "callback_url": "http://10.0.0.1/"}, "at `$.callback_url`"),
        ([], "1 to 100"),
        ([{"type": "a"}] * (MOST_IN_A_BATCH + 1), "1 to 100"),
        ([{"type": "a"}, {"type": "a", "run_in": "soon"}], "at `$[1].run_in`"),
        ([{"type": "a"}, {"type": 7}], "at `$[1].type`"),
        ([{"type": "a"}, {}], "at `$[1]`"),
        ([[{"type": "a"}]], "at `$[0]`"),
    ],
)
def test_what_can_not_be_carried_out_is_422_with_its_place(content: Any, words: str) -> None:
    status, detail = refusal(content)
    assert status == 422
    assert words in detail


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[" * 100_000, b'{"type":NaN}', b'{"type":"\\ud800"}', b"\xff", b'{"type":"a","type":"b"}'],
)
def test_what_is_not_strict_json_is_400(body: bytes) -> None:
    assert refusal(body)[0] == 400


@pytest.mark.parametrize("size", [1_000, 1_000_000])
def test_a_refusal_repeats_little_of_what_was_sent(size: int) -> None:
    async def check() -> None:
        async with running() as house:
            for content in (
                {"x" * size: 1},
                {"type": "x" * size},
                {"type": "a", "queue": "x" * size},
                {"type": "a", "callback_url": "x" * size},
            ):
                answer = await house.submit(content)
                assert answer.status_code in (413, 422)
                assert len(answer.content) < 700

    asyncio.run(check())


def test_a_batch_with_one_fault_stores_nothing() -> None:
    async def check() -> None:
        async with running() as house:
            fine = {"type": "a"}
            for fault in ({"type": "a", "run_in": "soon"}, {"type": "a", "callback_url": "nonsense"}, {}, 7):
                answer = await house.submit([fine, fault, fine])
                assert answer.status_code == 422
            assert house.stored() == set()

    asyncio.run(check())


def test_a_batch_is_stored_whole() -> None:
    async def check() -> None:
        async with running() as house:
            answer = await house.submit([{"type": "a", "payload": n} for n in range(MOST_IN_A_BATCH)])
            assert answer.status_code == 202
            events = [await house.ledger.reading.event(told["event_id"]) for told in answer.json()]
            assert [json.loads(event.body) for event in events if event is not None] == list(
                range(MOST_IN_A_BATCH)
            )

    asyncio.run(check())


def test_nothing_is_promised_while_redis_is_down() -> None:
    async def check() -> None:
        async with running() as house:
            house.redis.connection_pool.connection_kwargs["server"].connected = False
            for content in ({"type": "a"}, [{"type": "a"}] * 3):
                answer = await house.submit(content)
                assert_problem(answer, 503, "not_recorded")
                assert answer.headers["Retry-After"] == "5"
            read = await house.http.get(
                "/jobs/job_" + "0" * 26, headers={"Authorization": f"Bearer {API_KEY}"}
            )
            assert_problem(read, 503, "not_readable")

    asyncio.run(check())


def test_a_type_is_refused_once_live_workers_told_what_they_handle() -> None:
    async def check() -> None:
        async with running() as house:
            assert (await house.submit({"type": "unheard-of"})).status_code == 202  # nobody has told anything
            await house.tell_handlers(("api", "report"), ("acme", "*"))
            answers = [await house.submit(content) for content in ({"type": "report"}, {"type": "other"})]
            told = assert_problem(answers[1], 422, "invalid")
            assert answers[0].status_code == 202
            assert "'other'" in told["detail"]
            await house.tell_handlers(("api", "other"))  # a worker of a newer version starts
            assert (await house.submit({"type": "other"})).status_code == 202

    asyncio.run(check())


@given(
    content=st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "type",
                        "payload",
                        "queue",
                        "callback_url",
                        "run_in",
                        "run_at",
                        "idempotency_key",
                        "tag",
                        "metadata",
                    ]
                ),
                inner,
                max_size=9,
            )
        ),
    )
    | st.fixed_dictionaries(
        {"type": st.text(min_size=1)},
        optional={
            "run_in": st.integers()
            | st.floats(allow_nan=False)
            | st.from_regex(r"-?[0-9]{1,12}(ms|s|m|h|d)"),
            "run_at": st.datetimes().map(datetime.isoformat)
            | st.datetimes(timezones=st.just(UTC)).map(datetime.isoformat),
            "metadata": st.dictionaries(st.text(), st.text()),
            "callback_url": st.text() | st.from_regex(r"https?://\S+"),
            "queue": st.text(),
            "tag": st.text(),
        },
    )
)
def test_whatever_is_submitted_is_taken_or_refused_with_words(content: Any) -> None:
    body = json.dumps(content).encode()
    try:
        submissions, _ = read_submissions(body, policy=POLICY, now=NOW)
    except Problem:
        status, detail = refusal(body)
        assert status in (400, 422)
        assert detail
        return
    for submission in submissions:
        moment = submission.due(NOW)
        assert moment is None or NOW < moment <= NOW + timedelta(days=365)
        assert json.loads(submission.body) == submission.payload
