"""The client speaks the whole API: each call of its description has words, which send it and read what it answers."""

import asyncio
import inspect
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest

from infra.client import AsyncClient, Client, NotReached, operations
from infra.client.operations import Operation
from ingest.openapi import document
from tests.unit.ingest.application import API_KEY, House, running

DOCUMENT = document()
OF_OTHERS = {
    "receiveEvent": "senders sign it",
    "answerHandshake": "senders ask it",
    "watchJobBySocket": "`stream` says the same",
    "watchAllBySocket": "`stream_all` says the same",
    "loadArtifact": "its link is opened as it is",
    "readPublicKeys": "for libraries that verify",
    "readHealth": "for supervisors",
    "readReadiness": "for supervisors",
    "readMetrics": "for Prometheus",
    "readDescription": "for programs that write clients",
    "readDocs": "for people",
}
METHODS: dict[str, Callable[[Any], Any]] = {
    "submitJobs": lambda client: client.submit("report"),
    "uploadFile": lambda client: client.upload(b"abc"),
    "readJob": lambda client: client.job("job_1"),
    "watchJob": lambda client: client.stream("job_1"),
    "watchAll": lambda client: client.stream_all(tag="org-7"),
    "listJobs": lambda client: client.jobs(status="failed", tag="org-7"),
    "listEvents": lambda client: client.events(since=timedelta(hours=2)),
    "listCallbacks": lambda client: client.callbacks(limit=5),
    "readEvent": lambda client: client.event("evt_1"),
    "readCallback": lambda client: client.callback("cb_1"),
    "readBatch": lambda client: client.batch("bat_1"),
    "cancelJob": lambda client: client.cancel("job_1"),
    "retryJob": lambda client: client.retry("job_1"),
    "replayEvent": lambda client: client.replay("evt_1"),
    "redeliverCallback": lambda client: client.redeliver("cb_1"),
}
ASKED: dict[str, Operation[Any]] = {
    "readQueues": operations.queues(),
    "listReceivers": operations.receivers(status="paused", limit=5),
    "diagnoseSource": operations.diagnose("acme"),
    "pauseQueue": operations.pause("queue", "low"),
    "resumeQueue": operations.resume("queue", "low"),
    "pauseHandler": operations.pause("handler", "handlers.a:b"),
    "resumeHandler": operations.resume("handler", "handlers.a:b"),
    "drainWorker": operations.drain("w1"),
    "pauseReceiver": operations.pause_receiver("rcv_1"),
    "resumeReceiver": operations.resume_receiver("rcv_1"),
    "cancelJobs": operations.cancel_many(tag="org-7"),
    "redeliverCallbacks": operations.redeliver_many(source="acme", rate=5),
    "startReplay": operations.run_again(status="failed", rate=5, max_error_share=0.5),
    "listReplays": operations.replays(),
    "readReplay": operations.replay("rep_1"),
    "cancelReplay": operations.cancel_replay("rep_1"),
    "readEventBody": operations.body("evt_1"),
    "exportEvent": operations.export("evt_1", with_body=False),
}
WORDS = METHODS | {
    name: lambda client, operation=operation: client.ask(operation) for name, operation in ASKED.items()
}


def described() -> Iterator[tuple[str, str, str, dict[str, Any]]]:
    """Each call: its name, its method, its path, and what is said of it."""
    for path, methods in DOCUMENT["paths"].items():
        for method, told in methods.items():
            yield told["operationId"], method.upper(), path, told


def example(told: dict[str, Any]) -> httpx.Response:
    """The good answer that the description has, and where there are several, that of what was begun."""
    status = max(status for status in told["responses"] if status < "300")
    answer = told["responses"][status]
    for content in answer.get("content", {}).values():
        values = [*content.get("examples", {}).values(), {"value": content.get("example")}]
        return httpx.Response(int(status), content=json.dumps(values[0]["value"]).encode())
    return httpx.Response(int(status))


def asked_of_both(words: Callable[[Any], Any], answer: httpx.Response) -> list[httpx.Request]:
    """What each of the clients sends first; an answer that it can't read is a fault."""
    requests: list[httpx.Request] = []

    def answered(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(answer.status_code, content=answer.content)

    async def awaited() -> None:
        async with AsyncClient("http://h", transport=httpx.MockTransport(answered)) as client:
            told = words(client)
            await (anext(told, None) if isinstance(told, AsyncIterator) else told)

    with Client("http://h", transport=httpx.MockTransport(answered)) as client:
        told = words(client)
        if isinstance(told, Iterator):
            next(told, None)
    asyncio.run(awaited())
    return requests


def test_every_call_of_the_description_has_words_and_no_word_has_none() -> None:
    names = {name for name, *_ in described()}
    assert WORDS.keys() | OF_OTHERS.keys() == names
    assert not WORDS.keys() & OF_OTHERS.keys()


@pytest.mark.parametrize(
    ("name", "method", "path", "told"), [one for one in described() if one[0] in WORDS], ids=lambda one: one
)
def test_the_words_send_what_is_described_and_read_what_is_answered(
    name: str, method: str, path: str, told: dict[str, Any]
) -> None:
    streams = name in ("watchJob", "watchAll")
    requests = asked_of_both(WORDS[name], httpx.Response(204) if streams else example(told))
    assert len(requests) == 2
    taken = {one["name"] for one in map(_followed, told.get("parameters", ())) if one["in"] == "query"}
    for request in requests:
        assert request.method == method
        assert re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", path), request.url.path)
        assert set(request.url.params) <= taken


def test_both_clients_say_the_same_words() -> None:
    def words(client: type) -> dict[str, list[str]]:
        return {
            name.removeprefix("a") if name == "aclose" else name: list(inspect.signature(method).parameters)
            for name, method in inspect.getmembers(client, inspect.isfunction)
            if not name.startswith("_")
        }

    assert words(Client) == words(AsyncClient)


@pytest.mark.parametrize(
    ("operation", "sent"),
    [
        (operations.cancel_many(since=timedelta(hours=2)), {"since": "7200000ms", "dry_run": False}),
        (operations.cancel_many(dry_run=True, tag="a"), {"tag": "a", "dry_run": True}),
        (operations.count_again(ids=["job_1"]), {"filter": {"ids": ["job_1"]}, "dry_run": True}),
        (operations.run_again(rate=5), {"filter": {}, "rate": 5}),
    ],
)
def test_what_is_done_to_many_is_sent_once_and_what_is_counted_again(
    operation: Operation[Any], sent: dict[str, Any]
) -> None:
    requests: list[httpx.Request] = []

    def lost(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        raise httpx.ReadError("gone")

    with (
        Client("http://h", transport=httpx.MockTransport(lost), tries=2) as client,
        pytest.raises(NotReached),
    ):
        client.ask(operation)
    assert [json.loads(request.content) for request in requests] == [sent] * (2 if sent.get("dry_run") else 1)


def test_the_web_process_understands_them() -> None:
    """The application itself answers: queues are paused, jobs canceled, bulk replays counted."""

    async def work(house: House, client: AsyncClient) -> None:
        receipt = await client.submit("a", {"n": 1}, tag="org-7")
        (queue,) = (await client.ask(operations.queues())).queues
        assert (queue.name, queue.queued, queue.paused) == ("default", 1, False)
        assert (await client.ask(operations.pause("queue", "default"))).changed
        (pause,) = (await client.ask(operations.queues())).pauses
        assert (pause.kind, pause.name) == ("queue", "default")
        assert not (await client.ask(operations.resume("queue", "default"))).paused
        assert (await client.ask(operations.cancel_many(tag="org-7", dry_run=True))).counts["queued"] == 1
        assert (await client.ask(operations.cancel_many(tag="org-7"))).canceled == 1
        assert (await client.job(receipt.job_id)).status == "canceled"
        counted = await client.ask(operations.count_again(status="canceled"))
        assert (counted.count, counted.replays, counted.already_succeeded) == (1, 1, 0)
        assert (await client.ask(operations.redeliver_many(dry_run=True))).count == 0
        assert (await client.ask(operations.replays())).items == []
        assert (await client.ask(operations.receivers())).items == []
        assert (await client.ask(operations.diagnose("acme"))).items == []
        assert await client.ask(operations.body(receipt.event_id)) == b'{"n":1}'
        assert json.loads(await client.ask(operations.export(receipt.event_id)))["signatures"]

    asyncio.run(_within(work))


async def _within(work: Callable[[House, AsyncClient], Awaitable[None]]) -> None:
    async with running() as house:
        transport = httpx.ASGITransport(house.http._transport.app)  # type: ignore[attr-defined]
        async with AsyncClient("http://hookline", api_key=API_KEY, transport=transport) as client:
            await work(house, client)


def _followed(part: dict[str, Any]) -> dict[str, Any]:
    """What a reference of the description stands for."""
    while "$ref" in part:
        found: Any = DOCUMENT
        for name in part["$ref"].removeprefix("#/").split("/"):
            found = found[name]
        part = found
    return part
