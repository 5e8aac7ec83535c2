"""The Python client: what it sends, what it repeats and what it doesn't, what it makes of answers. Both clients, the same tests."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from infra.client import AsyncClient, Client, NotFound, NotReached, Receipt, Refused, Update, operations
from infra.client import retrying as retrying_module
from infra.client.event_stream import Resumption

JOB = {
    "id": "job_1",
    "event_id": "evt_1",
    "source": "api",
    "type": "mail",
    "status": "finished",
    "queue": "default",
    "created_at": "2026-11-22T06:00:00.000Z",
    "result": {"sent": True},
    "a_field_of_the_future": 1,
}
RECEIPT = {"job_id": "job_1", "event_id": "evt_1", "status": "queued", "duplicate": False, "status_url": "/x"}
PROBLEM = {"status": 409, "code": "job_ended", "title": "The job has ended.", "detail": "So it is."}

Answer = httpx.Response | Exception


class Server:
    """Answers one after the other; the last for ever."""

    def __init__(self, *answers: Answer) -> None:
        self.requests: list[httpx.Request] = []
        self._answers = list(answers)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self.requests.append(request)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)

    async def answered(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        return self(request)


class Blocking:
    """Asks the client that blocks."""

    def __call__(self, server: Server, ask: Callable[[Any], Any], **options: Any) -> Any:
        with Client("http://h", api_key="k", transport=httpx.MockTransport(server), **options) as client:
            told = ask(client)
            return list(told) if isinstance(told, Iterator) else told


class Awaited:
    """Asks the client that is awaited."""

    def __call__(self, server: Server, ask: Callable[[Any], Any], **options: Any) -> Any:
        async def asking() -> Any:
            transport = httpx.MockTransport(server.answered)
            async with AsyncClient("http://h", api_key="k", transport=transport, **options) as client:
                told = ask(client)
                return [one async for one in told] if isinstance(told, AsyncIterator) else await told

        return asyncio.run(asking())


@pytest.fixture(params=[Blocking(), Awaited()], ids=["blocking", "awaited"])
def asking(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrying_module, "_BACKOFF", lambda _: 0.0)


def test_a_submission_says_what_it_was_told_and_nothing_more(asking: Any) -> None:
    server = Server(httpx.Response(202, json=RECEIPT))
    receipt = asking(
        server,
        lambda client: client.submit(
            "mail",
            {"to": "ada"},
            run_in=timedelta(minutes=1),
            run_at=datetime(2026, 1, 1, tzinfo=UTC),
            tag="t",
        ),
    )
    assert receipt == Receipt(job_id="job_1", event_id="evt_1", status="queued", status_url="/x")
    (request,) = server.requests
    assert (request.method, request.url.path, request.headers["authorization"]) == (
        "POST",
        "/jobs",
        "Bearer k",
    )
    sent = json.loads(request.content)
    assert len(sent.pop("idempotency_key")) == 36
    assert sent == {
        "type": "mail",
        "payload": {"to": "ada"},
        "run_in": 60.0,
        "run_at": "2026-01-01T00:00:00+00:00",
        "tag": "t",
    }


@pytest.mark.parametrize(
    "trouble",
    [
        httpx.Response(503, headers={"Retry-After": "0"}),
        httpx.Response(429, headers={"Retry-After": "0"}),
        httpx.ConnectError("no"),
        httpx.ReadTimeout("no"),
        httpx.RemoteProtocolError("cut"),
    ],
)
def test_a_submission_is_repeated_with_its_key(asking: Any, trouble: Answer) -> None:
    server = Server(trouble, trouble, httpx.Response(202, json=RECEIPT))
    assert asking(server, lambda client: client.submit("mail")).job_id == "job_1"
    keys = [json.loads(request.content)["idempotency_key"] for request in server.requests]
    assert len(keys) == 3
    assert len(set(keys)) == 1


def test_what_might_have_been_heard_is_not_said_twice(asking: Any) -> None:
    server = Server(httpx.ReadTimeout("no"))
    with pytest.raises(NotReached):
        asking(server, lambda client: client.cancel("job_1"))
    assert len(server.requests) == 1


def test_what_was_refused_for_the_moment_is_said_again(asking: Any) -> None:
    server = Server(httpx.Response(503, headers={"Retry-After": "0"}), httpx.Response(200, json=JOB))
    assert asking(server, lambda client: client.retry("job_1")).id == "job_1"


def test_tries_come_to_an_end(asking: Any) -> None:
    busy = Server(httpx.Response(503, json={"code": "not_recorded", "title": "Nothing was promised."}))
    with pytest.raises(Refused) as refused:
        asking(busy, lambda client: client.job("job_1"), tries=3)
    assert (refused.value.status, refused.value.code, len(busy.requests)) == (503, "not_recorded", 3)
    gone = Server(httpx.ConnectError("no"))
    with pytest.raises(NotReached):
        asking(gone, lambda client: client.job("job_1"), tries=2)
    assert len(gone.requests) == 2


def test_retry_after_is_kept_to_within_bounds() -> None:
    for said, pause in (("7", 7.0), ("100000", 30.0), ("soon", 0.0), ("", 0.0)):
        waited: list[float] = []
        retrying = retrying_module.policy(retrying_module.Call("GET", "/"), 2)
        server = Server(httpx.Response(503, headers={"Retry-After": said}))
        with Client("http://h", transport=httpx.MockTransport(server), tries=2) as client:
            import tenacity

            tenacity.Retrying(**retrying, sleep=waited.append)(lambda: client._http.get("/"))
        assert waited == [pause]


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (httpx.Response(409, json=PROBLEM), Refused, "409 The job has ended. So it is."),
        (
            httpx.Response(404, json={"code": "not_found", "title": "There is nothing here."}),
            NotFound,
            "404 There",
        ),
        (httpx.Response(502, text="<html>"), Refused, "502 Bad Gateway"),
        (httpx.Response(200, text="<html>"), NotReached, "something else than Hookline"),
        (httpx.Response(200, json={"id": 7}), NotReached, "something else than Hookline"),
    ],
)
def test_other_answers_are_errors_with_words(
    asking: Any, answer: httpx.Response, kind: type[Exception], words: str
) -> None:
    with pytest.raises(kind, match=words):
        asking(Server(answer), lambda client: client.job("job_1"))


def test_waiting_goes_on_until_the_job_has_ended(asking: Any) -> None:
    server = Server(httpx.Response(200, json=JOB | {"status": "started"}), httpx.Response(200, json=JOB))
    job = asking(server, lambda client: client.wait("job_1"))
    assert (job.status, job.ended, job.result) == ("finished", True, {"sent": True})
    assert [request.url.params["wait"] for request in server.requests] == ["60", "60"]


def test_waiting_ends_with_its_time(asking: Any) -> None:
    server = Server(httpx.Response(200, json=JOB | {"status": "started"}))
    assert asking(server, lambda client: client.wait("job_1", seconds=0)).status == "started"


def test_a_list_is_read_page_by_page(asking: Any) -> None:
    server = Server(
        httpx.Response(200, json={"items": [JOB, JOB], "next_cursor": "c"}),
        httpx.Response(200, json={"items": [JOB], "next_cursor": None}),
    )
    assert len(asking(server, lambda client: client.jobs(status="failed", since=None))) == 3
    assert [dict(request.url.params) for request in server.requests] == [
        {"status": "failed"},
        {"status": "failed", "cursor": "c"},
    ]


def test_a_stream_that_breaks_is_taken_up_where_it_broke(asking: Any) -> None:
    def told(number: int, status: str) -> str:
        return f'id: 5-{number}\nevent: status\ndata: {{"status":"{status}"}}\n\n'

    server = Server(
        httpx.Response(503, headers={"Retry-After": "0"}),
        httpx.Response(
            200, text="retry: 0\n\n" + told(1, "queued") + told(2, "started") + "id: 5-3\ndata: {"
        ),
        httpx.ConnectError("no"),
        httpx.Response(200, text=":\n\n" + told(3, "finished")),
        httpx.Response(204),
    )
    updates = asking(server, lambda client: client.stream("job_1"))
    assert updates == [
        Update(id=f"5-{number}", event="status", data={"status": status})
        for number, status in ((1, "queued"), (2, "started"), (3, "finished"))
    ]
    asked = [
        request.headers.get("last-event-id") for request in server.requests if "stream" in request.url.path
    ]
    assert asked == [None, None, "5-2", "5-2", "5-3"]


def test_a_stream_that_can_not_be_opened_is_given_up(asking: Any) -> None:
    server = Server(httpx.Response(200, text="retry: 0\n\n"), httpx.ConnectError("no"))
    with pytest.raises(NotReached):
        asking(server, lambda client: client.stream("job_1"), tries=3)
    assert len(server.requests) == 4


def test_who_leaves_comes_back_when_asked_and_who_was_cut_off_at_once() -> None:
    def paused(content: str) -> float:
        resumption = Resumption(None, tries=2)
        assert resumption.opened(httpx.Response(200))
        for line in content.splitlines():
            resumption.parser.take(line)
        return resumption.pause()

    update = "id: 5-1\nevent: status\ndata: {}\n\n"
    assert paused("retry: 2000\n\n" + update) == 0
    assert paused("retry: 2000\n\n" + update + "retry: 4000\n\n") == 4
    assert paused("") == 2


# -- many, and again ---------------------------------------------------------------------------------------------------


def test_a_batch_has_a_key_for_each_of_its_jobs(asking: Any) -> None:
    told = [RECEIPT | {"batch_id": "bat_1"}, RECEIPT | {"batch_id": "bat_1", "code": "idempotency_conflict"}]
    server = Server(httpx.Response(202, json=told))
    first, second = asking(
        server,
        lambda client: client.submit_many(
            [{"type": "a", "run_in": timedelta(seconds=5)}, {"type": "b", "idempotency_key": "k"}]
        ),
    )
    assert (first.batch_id, first.code, second.code) == ("bat_1", None, "idempotency_conflict")
    one, other = json.loads(server.requests[0].content)
    assert (len(one.pop("idempotency_key")), one) == (36, {"type": "a", "run_in": 5.0})
    assert other == {"type": "b", "idempotency_key": "k"}


@pytest.mark.parametrize(
    ("options", "sent"),
    [
        ({}, {}),
        ({"payload": None}, {"payload": None}),
        ({"payload": 1, "queue": "low"}, {"payload": 1, "queue": "low"}),
    ],
)
def test_a_replay_says_what_is_to_be_otherwise(asking: Any, options: dict[str, Any], sent: Any) -> None:
    server = Server(httpx.Response(202, json=RECEIPT))
    assert asking(server, lambda client: client.replay("evt_1", **options)).job_id == "job_1"
    assert json.loads(server.requests[0].content) == sent


def test_events_batches_and_callbacks_are_read(asking: Any) -> None:
    event = {
        "id": "evt_1",
        "source": "api",
        "type": "a",
        "received_at": "2026-11-22T06:00:00Z",
        "timeline": [{"kind": "received"}],
    }
    listed = Server(httpx.Response(200, json={"items": [event], "next_cursor": None}))
    assert [one.id for one in asking(listed, lambda client: client.events(source="api"))] == ["evt_1"]
    assert (
        asking(Server(httpx.Response(200, json=event)), lambda client: client.event("evt_1")).timeline
        == event["timeline"]
    )
    batch = {
        "id": "bat_1",
        "status": "started",
        "count": 2,
        "counts": {"queued": 2},
        "percent": 0.0,
        "created_at": event["received_at"],
    }
    assert asking(Server(httpx.Response(200, json=batch)), lambda client: client.batch("bat_1")).counts == {
        "queued": 2
    }
    made = {"id": "cb_1", "url": "https://example.com", "status": "pending"}
    assert (
        asking(Server(httpx.Response(200, json=made)), lambda client: client.redeliver("cb_1")).status
        == "pending"
    )


def test_one_callback_is_read_with_its_attempts(asking: Any) -> None:
    told = {
        "id": "cb_1",
        "url": "https://example.com",
        "status": "dead",
        "reason": "given up",
        "job_id": "job_1",
        "attempts": [
            {"number": 1, "at": "2026-11-22T06:00:00Z", "duration_ms": 3, "status": 500, "reply": "no"}
        ],
    }
    one = Server(httpx.Response(200, json=told))
    callback = asking(one, lambda client: client.callback("cb_1"))
    assert (callback.reason, callback.attempts[0].status) == ("given up", 500)
    assert one.requests[0].url.path == "/callbacks/cb_1"
    many = Server(httpx.Response(200, json={"items": [told], "next_cursor": None}))
    listed = asking(many, lambda client: client.callbacks(status="dead", since=timedelta(hours=2)))
    assert [found.id for found in listed] == ["cb_1"]
    assert dict(many.requests[0].url.params) == {"status": "dead", "since": "7200000ms"}


@pytest.mark.parametrize(
    ("words", "sent"),
    [
        ({}, {"dry_run": False}),
        (
            {"dry_run": True, "source": "acme", "since": timedelta(hours=2), "rate": 5},
            {"dry_run": True, "source": "acme", "since": "7200000ms", "rate": 5},
        ),
    ],
)
def test_many_callbacks_are_made_again_once_or_counted(
    asking: Any, words: dict[str, Any], sent: dict[str, Any]
) -> None:
    told = {"dry_run": sent["dry_run"], "count": 3, "complete": True, "redelivered": 0}
    server = Server(httpx.Response(200, json=told))
    assert asking(server, lambda client: client.ask(operations.redeliver_many(**words))).count == 3
    assert json.loads(server.requests[0].content) == sent
    lost = Server(httpx.ReadError("gone"), httpx.Response(200, json=told))
    if sent["dry_run"]:
        assert asking(lost, lambda client: client.ask(operations.redeliver_many(**words))).count == 3
    else:
        with pytest.raises(NotReached):
            asking(lost, lambda client: client.ask(operations.redeliver_many(**words)))


def test_a_stream_of_a_job_that_is_not_there_is_refused(asking: Any) -> None:
    with pytest.raises(NotFound):
        asking(Server(httpx.Response(404, json={})), lambda client: client.stream("job_1"))


def test_a_file_is_sent_as_it_is(asking: Any) -> None:
    told = {"id": "file_1", "size": 3, "sha256": "x", "expires_at": "2026-11-22T06:00:00Z"}
    server = Server(httpx.Response(201, json=told))
    assert asking(server, lambda client: client.upload(b"abc")).id == "file_1"
    assert server.requests[0].content == b"abc"


def test_a_key_is_in_no_repr() -> None:
    with Client("http://h", api_key="very-secret") as client:
        assert "very-secret" not in repr(client) + repr(client._http.headers)
