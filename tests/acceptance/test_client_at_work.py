"""Both Python clients against real processes, some of which die meanwhile (docs/client.md)."""

import asyncio
import re
import signal
import threading
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any, Self

import pytest

from infra.client import AsyncClient, Client, Refused, Update, operations
from tests.acceptance.builders import API_KEY, Server, System
from tests.acceptance.inbox import Inbox

pytestmark = pytest.mark.slow  # many processes, one after the other

PAGE = Path(__file__).parents[2] / "docs" / "client.md"
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)


class Awaited:
    """An `AsyncClient` in a loop of its own, asked as `Client` is."""

    def __init__(self, *words: Any, **options: Any) -> None:
        self._runner = asyncio.Runner()
        self._client = self._runner.run(self._made(*words, **options))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._runner.run(self._client.aclose())
        self._runner.close()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def ask(*words: Any, **options: Any) -> Any:
            told = getattr(self._client, name)(*words, **options)
            return self._each(told) if isinstance(told, AsyncIterator) else self._runner.run(told)

        return ask

    def _each(self, told: AsyncIterator[Any]) -> Iterator[Any]:
        async def following() -> Any:
            return await anext(told, None)

        while (one := self._runner.run(following())) is not None:
            yield one

    @staticmethod
    async def _made(*words: Any, **options: Any) -> AsyncClient:
        return AsyncClient(*words, **options)


@pytest.fixture(params=[Client, Awaited], ids=["blocking", "awaited"])
def client_of(request: pytest.FixtureRequest) -> Iterator[Callable[[System], Any]]:
    """``client_of(house)``: a client of it."""
    made: list[Any] = []

    def make(house: System) -> Any:
        made.append(request.param(address(house), api_key=API_KEY, tries=12))
        return made[-1].__enter__()

    yield make
    for client in made:
        client.__exit__(None, None, None)


def address(house: System) -> str:
    return f"http://127.0.0.1:{house.environ['PORT']}"


def upto(status: str, updates: Iterator[Update]) -> list[Update]:
    """The updates until the job has that status."""
    found = [next(updates)]
    while found[-1].data.get("status") != status:
        found.append(next(updates))
    return found


def statuses(updates: list[Update]) -> list[str]:
    return [update.data["status"] for update in updates if update.event == "status"]


def assert_nothing_twice(updates: list[Update]) -> None:
    """Every id once, in order."""
    places = [tuple(map(int, update.id.split("-"))) for update in updates]
    assert places == sorted(set(places))


# -- as it should go ---------------------------------------------------------------------------------------------------


def test_a_job_is_submitted_watched_waited_for_and_its_event_read(
    house: System, inbox: Inbox, client_of: Callable[[System], Any]
) -> None:
    client, gate = client_of(house), uuid.uuid4().hex
    receipt = client.submit("gated", {"gate": gate}, callback_url=inbox.url(uuid.uuid4().hex), tag="org-7")
    updates = client.stream(receipt.job_id)
    told = upto("started", updates)
    house.open_gate(gate)
    told += updates
    assert statuses(told)[-2:] == ["started", "finished"]
    assert (told[-1].event, told[-1].data["callback"]["status"]) == ("callback", "delivered")
    assert_nothing_twice(told)
    job = client.wait(receipt.job_id)
    assert (job.status, job.result, job.tag) == ("finished", "through", "org-7")
    event = client.event(receipt.event_id)
    assert [entry["kind"] for entry in event.timeline][-1] == "callback"
    assert job.callback is not None
    assert client.callback(job.callback.id).attempts[0].status == 204
    many = operations.redeliver_many(status="delivered", tag="org-7", since="1h", dry_run=True)
    counted = client.ask(many)
    assert (counted.count >= 1, counted.redelivered) == (True, 0)
    assert client.redeliver(job.callback.id).status == "pending"


def test_steering(house: System, client_of: Callable[[System], Any]) -> None:
    client, gate = client_of(house), uuid.uuid4().hex
    waits = client.submit("gated", {"gate": gate})
    assert client.cancel(waits.job_id).status == "canceled"
    with pytest.raises(Refused) as refused:
        client.cancel(waits.job_id)
    assert refused.value.code == "job_ended"
    broken = client.submit("mendable", {"gate": gate})
    assert client.wait(broken.job_id, seconds=30).status == "failed"
    house.open_gate(gate)
    assert client.retry(broken.job_id).status in {"queued", "started", "finished"}
    assert client.wait(broken.job_id, seconds=30).result == "mended"
    again = client.replay(broken.event_id, payload={"gate": gate, "edited": True})
    assert client.event(again.event_id).replay_of == broken.event_id


def test_many_jobs_are_a_batch_and_a_list(house: System, client_of: Callable[[System], Any]) -> None:
    client, tag = client_of(house), uuid.uuid4().hex
    receipts = client.submit_many({"type": "echo", "payload": number, "tag": tag} for number in range(5))
    for receipt in receipts:
        client.wait(receipt.job_id, seconds=30)
    assert client.batch(receipts[0].batch_id).counts == {"finished": 5}
    ids = {receipt.job_id for receipt in receipts}
    assert {job.id for job in client.jobs(tag=tag, limit=2)} == ids
    assert {event.jobs[0] for event in client.events(tag=tag, limit=2)} == ids


# -- as it may go ------------------------------------------------------------------------------------------------------


def test_a_worker_dies_while_its_job_is_watched(
    build: Callable[..., System], client_of: Callable[[System], Any]
) -> None:
    house, gate = build(), uuid.uuid4().hex
    house.web()
    worker = house.worker()
    client = client_of(house)
    receipt = client.submit("gated", {"gate": gate})
    updates = client.stream(receipt.job_id)
    told = upto("started", updates)
    worker.stop(signal.SIGKILL)
    house.worker()
    told += upto("started", updates)
    house.open_gate(gate)
    told += updates
    assert statuses(told)[-1] == "finished"
    assert_nothing_twice(told)
    assert [attempt.outcome for attempt in client.job(receipt.job_id).attempts] == ["crashed", "finished"]


def test_the_web_process_is_deployed_anew_while_a_job_is_watched(
    build: Callable[..., System], client_of: Callable[[System], Any]
) -> None:
    house, gate = build(), uuid.uuid4().hex
    web = house.web()
    house.worker()
    client = client_of(house)
    receipt = client.submit("gated", {"gate": gate})
    updates = client.stream(receipt.job_id)
    told = upto("started", updates)
    web.stop()
    house.open_gate(gate)
    house.web()
    told += updates
    assert statuses(told)[-1] == "finished"
    assert_nothing_twice(told)


def test_what_can_not_be_recorded_is_submitted_again_and_makes_one_job(
    build: Callable[..., System], server: Server, client_of: Callable[[System], Any]
) -> None:
    house = build()
    web = house.web()
    house.worker()
    client, tag = client_of(house), uuid.uuid4().hex
    client.wait(client.submit("echo").job_id, seconds=30)

    def mend() -> None:
        web.wait_for_output("not_recorded")
        server.signal(signal.SIGCONT)

    server.signal(signal.SIGSTOP)
    mending = threading.Thread(target=mend)
    mending.start()
    receipt = client.submit("echo", tag=tag)
    mending.join()
    assert client.wait(receipt.job_id, seconds=30).status == "finished"
    assert [job.id for job in client.jobs(tag=tag)] == [receipt.job_id]


# -- the page ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_pages_examples_run(example: str, house: System) -> None:
    here = example.replace("http://127.0.0.1:8000", address(house)).replace("my-key", API_KEY)
    exec(compile(here, str(PAGE), "exec"), {"__name__": "example"})
