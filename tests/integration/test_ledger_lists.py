"""Lists: what is on a page, in which order, where the next one begins, and what it costs."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from infra.ledger import Lists, keys
from infra.ledger.lists import SEARCHED, Filter, Page, Place, gather
from infra.ledger.records import Arrival, CallbackStatus, Ignored, JobStatus
from tests.conftest import Store
from tests.integration.ledger_bench import (
    CALLBACK_URL,
    FAILED,
    FINISHED,
    HOUR,
    QUEUES,
    RETRIED,
    Bench,
    arrival,
    on,
)

Read = Callable[..., Any]
LATER = datetime.now(UTC) + timedelta(days=1)


async def pages(read: Read, limit: int, **wanted: Any) -> list[list[str]]:
    """The ids of a whole list, page by page; cursors go out as text and come back."""
    found, after = [], None
    while True:
        page: Page[Any] = await read(Filter(**wanted), limit, after)
        found.append([item.id for item in page.items])
        if page.next is None:
            return found
        after = Place.read(str(page.next))
        assert after == page.next


async def all_of(read: Read, **wanted: Any) -> list[str]:
    return [item.id for item in (await gather(read, Filter(**wanted))).items]


async def next_millisecond(bench: Bench) -> None:
    """Wait until what is made now is newer than what was made before."""
    before = await bench.ledger.reading.now()
    while await bench.ledger.reading.now() <= before + timedelta(milliseconds=2):
        pass


async def one_of_each(bench: Bench) -> dict[JobStatus, Arrival]:
    """A job in every status, the later ones newer."""
    await bench.sweep()
    found = {}
    for status, outcome in [(JobStatus.FINISHED, FINISHED), (JobStatus.FAILED, FAILED)]:
        found[status] = await bench.accept(tag=status, queue="high" if outcome is FAILED else "default")
        await bench.settle(outcome, *(await bench.claim()))
        await next_millisecond(bench)
    found[JobStatus.CANCELED] = await bench.accept(tag="canceled")
    await bench.ledger.jobs.cancel(found[JobStatus.CANCELED].job_id)
    await next_millisecond(bench)
    found[JobStatus.STARTED] = await bench.accept(tag="started", source="other")
    await bench.claim("w2")
    await next_millisecond(bench)
    found[JobStatus.SCHEDULED] = await bench.accept(tag="scheduled", run_at=LATER)
    await next_millisecond(bench)
    found[JobStatus.QUEUED] = await bench.accept(tag="queued", type="order:void", queue="low")
    return found


@pytest.mark.parametrize("what", ["jobs", "events"])
def test_the_newest_come_first_page_by_page(ledger_store: Store, what: str) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.sweep()
        made = []
        for _ in range(3):
            batch = [arrival() for _ in range(40)]
            await bench.accept(*batch)
            made.append({one.job_id if what == "jobs" else one.event_id for one in batch})
            await next_millisecond(bench)
        found = await pages(getattr(bench.ledger.lists, what), 50)
        assert [len(page) for page in found] == [50, 50, 20]
        listed = [id_ for page in found for id_ in page]
        assert [set(listed[first : first + 40]) for first in (0, 40, 80)] == made[::-1]

    on(ledger_store, scenario)


def test_the_last_page_says_that_it_is_the_last(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.accept(*(arrival() for _ in range(4)))
        assert [len(page) for page in await pages(bench.ledger.lists.jobs, 2)] == [2, 2]
        assert await pages(bench.ledger.lists.jobs, 2, source="nobody") == [[]]

    on(ledger_store, scenario)


@pytest.mark.parametrize("status", [status for status in JobStatus if status is not JobStatus.IGNORED])
def test_jobs_and_events_are_narrowed_by_status(ledger_store: Store, status: JobStatus) -> None:
    async def scenario(bench: Bench) -> None:
        made = (await one_of_each(bench))[status]
        lists = bench.ledger.lists
        assert [job.status for job in (await lists.jobs(Filter(status=status))).items] == [status]
        assert await all_of(lists.jobs, status=status) == [made.job_id]
        (event,) = (await lists.events(Filter(status=status))).items
        assert (event.id, event.status, event.size) == (made.event_id, status, len(made.body))

    on(ledger_store, scenario)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({}, ["queued", "scheduled", "started", "canceled", "failed", "finished"]),
        ({"source": "acme"}, ["queued", "scheduled", "canceled", "failed", "finished"]),
        ({"source": "other"}, ["started"]),
        ({"type": "order.paid"}, ["scheduled", "started", "canceled", "failed", "finished"]),
        ({"type": "order:void"}, ["queued"]),
        ({"source": "acme", "type": "order:void"}, ["queued"]),
        ({"source": "other", "type": "order:void"}, []),
        ({"queue": "high"}, ["failed"]),
        ({"queue": "low"}, ["queued"]),
        ({"queue": "nowhere"}, []),
        ({"tag": "canceled"}, ["canceled"]),
        ({"tag": "nobody's"}, []),
        ({"status": JobStatus.FAILED, "queue": "high"}, ["failed"]),
        ({"status": JobStatus.FAILED, "queue": "default"}, []),
        ({"status": JobStatus.FAILED, "source": "acme", "type": "order.paid", "tag": "failed"}, ["failed"]),
        ({"status": JobStatus.FAILED, "source": "other"}, []),
        ({"status": JobStatus.FINISHED, "tag": "failed"}, []),
    ],
)  # fmt: skip
def test_filters_are_combined(ledger_store: Store, wanted: dict[str, Any], found: list[str]) -> None:
    async def scenario(bench: Bench) -> None:
        made = await one_of_each(bench)
        ids = [made[JobStatus(name)].job_id for name in found]
        assert await all_of(bench.ledger.lists.jobs, **wanted) == ids
        events = await all_of(bench.ledger.lists.events, **wanted)
        assert events == [job_id.replace("job_", "evt_") for job_id in ids]

    on(ledger_store, scenario)


def test_a_span_of_time_bounds_every_walk(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.sweep()
        ids, moments = [], []
        for outcome in (FAILED, FAILED, FAILED):
            await next_millisecond(bench)
            moments.append(await bench.ledger.reading.now())
            await next_millisecond(bench)
            ids.append((await bench.accept()).job_id)
            await bench.settle(outcome, *(await bench.claim()))
        jobs = bench.ledger.lists.jobs
        for more in ({}, {"source": "acme"}, {"status": JobStatus.FAILED}, {"queue": "default"}):
            assert await all_of(jobs, since=moments[1], **more) == ids[:0:-1]
            assert await all_of(jobs, until=moments[1], **more) == ids[:1]
            assert await all_of(jobs, since=moments[1], until=moments[2], **more) == ids[1:2]
            assert await all_of(jobs, since=moments[2], until=moments[1], **more) == []

    on(ledger_store, scenario)


def test_what_was_ignored_is_not_finished(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        claim = await bench.take()
        await bench.settle(Ignored(), claim)
        assert await all_of(bench.ledger.lists.jobs, status=JobStatus.FINISHED) == []
        assert await all_of(bench.ledger.lists.jobs, status=JobStatus.IGNORED) == [claim.job_id]

    on(ledger_store, scenario)


def test_a_parked_job_is_queued(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.accept(ordering_key="a")
        behind = await bench.accept(ordering_key="a")
        assert behind.job_id in await all_of(bench.ledger.lists.jobs, status=JobStatus.QUEUED)

    on(ledger_store, scenario)


def test_a_page_goes_on_though_its_last_job_has_moved_on(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.accept(*(arrival() for _ in range(9)))
        claims = await bench.claim()
        jobs = bench.ledger.lists.jobs
        page = await jobs(Filter(status=JobStatus.STARTED), 4)
        last = next(claim for claim in claims if claim.job_id == page.items[-1].id)
        await bench.settle(RETRIED, last)
        rest = await jobs(Filter(status=JobStatus.STARTED), 9, page.next)
        assert {job.id for job in page.items} | {job.id for job in rest.items} == {
            claim.job_id for claim in claims
        }
        assert len(rest.items) == 5

    on(ledger_store, scenario)


def test_jobs_that_ended_in_one_second_are_all_listed(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        for queue in QUEUES:
            await bench.accept(*(arrival(queue=queue) for _ in range(100)))
        ran = await bench.run_all()
        found = await pages(bench.ledger.lists.jobs, 70, status=JobStatus.FINISHED)
        listed = [job_id for page in found for job_id in page]
        assert (len(listed), set(listed)) == (300, set(ran))

    on(ledger_store, scenario)


def test_an_event_is_known_by_the_id_that_its_sender_gave_it(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        made = await bench.accept(provider_event_id="e-1")
        known = bench.ledger.lists.known_events
        assert [event.id for event in await known("acme", "e-1")] == [made.event_id]
        assert await known("acme", "e-2") == await known("other", "e-1") == []
        await bench.client.delete(keys.EVENT + made.event_id)
        assert await known("acme", "e-1") == []

    on(ledger_store, scenario)


# -- callbacks ---------------------------------------------------------------------------------------------------------


def called(page: Page[Any]) -> list[str]:
    return [job.callback.id for job in page.items]


def test_callbacks_are_narrowed_by_their_own_status(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.accept(callback_url=CALLBACK_URL)
        (dead,) = await bench.run_all()
        (due,) = await bench.due(hold=HOUR)
        await bench.record(due, CallbackStatus.DEAD)
        await next_millisecond(bench)
        middle = await bench.ledger.reading.now()
        await bench.accept(callback_url=CALLBACK_URL, source="other", queue="low", tag="t")
        (other,) = await bench.run_all()
        new, old = f"cb_{other[4:]}", f"cb_{dead[4:]}"
        for wanted, found in [
            ({}, [new, old]),
            ({"status": CallbackStatus.DEAD}, [old]),
            ({"status": CallbackStatus.PENDING}, [new]),
            ({"status": CallbackStatus.DEAD, "source": "other"}, []),
            ({"source": "other"}, [new]),
            ({"type": "order.paid"}, [new, old]),
            ({"queue": "low"}, [new]),
            ({"tag": "t"}, [new]),
            ({"since": middle}, [new]),
            ({"until": middle}, [old]),
            ({"until": middle, "status": CallbackStatus.DEAD}, [old]),
        ]:
            assert called(await bench.ledger.lists.callbacks(Filter(**wanted))) == found, wanted

    on(ledger_store, scenario)


def test_callbacks_are_listed_page_by_page(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        for _ in range(2):
            await bench.accept(*(arrival(callback_url=CALLBACK_URL) for _ in range(60)))
        ran = await bench.run_all()
        found = await pages(bench.ledger.lists.callbacks, 50)
        assert [len(page) for page in found] == [50, 50, 20]
        assert {job_id for page in found for job_id in page} == set(ran)

    on(ledger_store, scenario)


def test_a_callback_whose_seal_is_broken_is_not_listed(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        forged, _ = (
            await bench.accept(callback_url=CALLBACK_URL),
            await bench.accept(callback_url=CALLBACK_URL),
        )
        await bench.run_all()
        event, name = keys.EVENT + forged.event_id, f"job:{forged.job_id}"
        birth = await bench.client.hget(event, name)
        await bench.client.hset(event, name, birth.replace(b"receiver.example", b"attacker.example"))
        assert len(called(await bench.ledger.lists.callbacks())) == 1
        assert len((await bench.ledger.lists.events()).items) == 1

    on(ledger_store, scenario)


# -- what is not as it should be ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "cursor",
    ["", "x", "time", "time.1", "1.2.3", "time.-1.a", "time.1e9.a", "time.nan.a", "time.1.a b", "time.1." + "a" * 200,
     "open.1.a", "time.1.\ud800", "Time.1.a", "time.1.é"],
)  # fmt: skip
def test_a_cursor_that_is_not_ours_is_none(cursor: str) -> None:
    assert Place.read(cursor) is None


@pytest.mark.parametrize("walk", ["time", "kind", "status"])
@pytest.mark.parametrize("score", ["0", "1", "999999999999999", "0.5"])
@pytest.mark.parametrize("member", ["", "-", "job_1", "zzz"])
def test_a_cursor_that_somebody_made_up_does_no_harm(
    fake_store: Store, walk: str, score: str, member: str
) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.accept()
        place = Place.read(f"{walk}.{score}.{member}")
        assert place is not None
        for read in (bench.ledger.lists.jobs, bench.ledger.lists.events, bench.ledger.lists.callbacks):
            assert len((await read(Filter(), 5, place)).items) <= 1

    on(fake_store, scenario)


@pytest.mark.parametrize(
    "key", [keys.JOBS, keys.JOBS_OF + "acme:order.paid", keys.KINDS, keys.QUEUES, keys.FAILED + "default", keys.OPEN]
)  # fmt: skip
def test_an_index_of_another_kind_reads_as_empty(ledger_store: Store, key: str) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.settle(FAILED, await bench.take())
        await bench.client.delete(key)
        await bench.client.set(key, "a text")
        for wanted in ({}, {"source": "acme"}, {"status": JobStatus.FAILED}, {"status": JobStatus.QUEUED}):
            assert len((await bench.ledger.lists.jobs(Filter(**wanted))).items) <= 1

    on(ledger_store, scenario)


def test_a_page_says_where_it_stopped_to_look(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        many = {f"job_{number:026d}": number for number in range(1, SEARCHED + 60)}
        await bench.client.zadd(keys.JOBS, many)
        page = await bench.ledger.lists.jobs(Filter(tag="nobody's"))
        assert page == Page([], Place("time", "60", f"job_{60:026d}"))
        assert await bench.ledger.lists.jobs(Filter(tag="nobody's"), 5, page.next) == Page([], None)

    on(ledger_store, scenario)


# -- what it costs -----------------------------------------------------------------------------------------------------


async def commands(bench: Bench, read: Callable[[Lists], Any]) -> int:
    """How many commands the server runs for it, those inside scripts too."""
    await read(bench.ledger.lists)  # so that it knows the scripts
    await bench.client.config_resetstat()
    await read(bench.ledger.lists)
    stats = await bench.client.info("commandstats")
    return sum(told["calls"] for name, told in stats.items() if "config" not in name and "info" not in name)


@pytest.mark.needs_server
@pytest.mark.parametrize("wanted", [{}, {"source": "acme"}, {"status": JobStatus.FINISHED}], ids=str)
@pytest.mark.parametrize("what", ["jobs", "events"])
def test_a_page_out_of_many_costs_what_one_out_of_few_does(
    valkey_store: Store, what: str, wanted: dict[str, Any]
) -> None:
    async def scenario(bench: Bench) -> None:
        async def page(lists: Lists) -> None:
            first = await getattr(lists, what)(Filter(**wanted))
            second = await getattr(lists, what)(Filter(**wanted), 50, first.next)
            assert (len(first.items), len(second.items)) == (50, 50)

        for _ in range(2):
            await bench.accept(*(arrival() for _ in range(100)))
        await bench.run_all()
        few = await commands(bench, page)
        old = {f"job_{number:026d}": number for number in range(1, 100_000)}
        for index in (keys.JOBS, keys.JOBS_OF + "acme:order.paid", keys.FINISHED + "default"):
            await bench.client.zadd(index, old)
        assert await commands(bench, page) <= few + 4

    on(valkey_store, scenario)
