"""The lanes to the ledger, in good times and in bad."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from infra.ledger import Events, LedgerError
from infra.ledger.records import Arrival, JobStatus, Receipt
from ingest.recorder import BATCH, LANES, SLOW_BATCH, Recorder


class Door:
    """Stands for the ledger's: each batch goes to what a test wants, which may raise, wait, or answer."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.closed = 0
        self.open = asyncio.Event()
        self.open.set()
        self.trouble: Callable[[list[str]], Exception | None] = lambda _: None

    async def accept(self, arrivals: Sequence[Arrival]) -> list[Receipt]:
        names = [arrival.event_id for arrival in arrivals]
        self.batches.append(names)
        await self.open.wait()
        await asyncio.sleep(0)
        if (trouble := self.trouble(names)) is not None:
            raise trouble
        return [Receipt(event_id=name, job_id=name, status=JobStatus.QUEUED) for name in names]

    async def aclose(self) -> None:
        self.closed += 1


def arrival(name: str) -> Arrival:
    return Arrival(event_id=name, job_id=name, source="a", type="b", received_at=datetime.now(UTC), body=b"")


def run(check: Callable[[Recorder, Door], Any], **options: Any) -> None:
    """Run a test with a recorder that has its lanes open."""

    async def running() -> None:
        door = Door()
        recorder = Recorder([cast("Events", door)] * LANES, **options)
        recorder.start()
        try:
            await check(recorder, door)
            assert all(not lane.done() for lane in recorder._lanes), "a lane died"
        finally:
            await recorder.stop()
        assert len(asyncio.all_tasks()) == 1
        assert door.closed == LANES

    asyncio.run(running())


async def stopping(check: Callable[[Recorder, Door], Any]) -> None:
    """Run a test that stops its recorder itself."""
    door = Door()
    recorder = Recorder([cast("Events", door)] * LANES)
    recorder.start()
    await check(recorder, door)


async def outcomes(recorder: Recorder, names: Sequence[str]) -> list[str]:
    """For each request, the id that it got back, or the kind of error."""
    answers = await asyncio.gather(
        *[recorder.record([arrival(name)]) for name in names], return_exceptions=True
    )
    return [
        type(answer).__name__ if isinstance(answer, BaseException) else answer[0].event_id
        for answer in answers
    ]


def test_requests_that_arrive_together_share_a_round_trip_and_get_their_own() -> None:
    async def check(recorder: Recorder, door: Door) -> None:
        names = [str(n) for n in range(100)]
        assert await outcomes(recorder, names) == names
        assert len(door.batches) < len(names) / 4
        assert max(map(len, door.batches)) == BATCH

    run(check)


def test_the_events_of_one_request_stay_together() -> None:
    async def check(recorder: Recorder, door: Door) -> None:
        groups = [[arrival(f"{n}-{m}") for m in range(n % 7 * 5)] for n in range(1, 40)]
        receipts = await asyncio.gather(*[recorder.record(group) for group in groups])
        assert [[receipt.event_id for receipt in got] for got in receipts] == [
            [one.event_id for one in group] for group in groups
        ]
        for batch in door.batches:
            assert len(batch) < BATCH + 30
        for group in groups:
            names = [one.event_id for one in group]
            assert sum(set(names) <= set(batch) for batch in door.batches) >= 1

    run(check)


def test_a_connection_that_breaks_once_is_no_trouble() -> None:
    async def check(recorder: Recorder, door: Door) -> None:
        broken: set[str] = set()

        def once(names: list[str]) -> Exception | None:
            fresh = set(names) - broken
            broken.update(names)
            return LedgerError("reset by peer") if fresh else None

        door.trouble = once
        assert await outcomes(recorder, ["a", "b"]) == ["a", "b"]

    run(check)


def test_while_redis_is_down_everyone_is_told_and_afterwards_all_is_well() -> None:
    async def check(recorder: Recorder, door: Door) -> None:
        door.trouble = lambda _: LedgerError("refused")
        for _ in range(5):
            assert set(await outcomes(recorder, [str(n) for n in range(50)])) == {"LedgerError"}
        door.trouble = lambda _: None
        assert await outcomes(recorder, ["a"]) == ["a"]

    run(check)


def test_a_fault_of_ours_with_one_event_costs_its_neighbours_nothing() -> None:
    async def check(recorder: Recorder, door: Door) -> None:
        door.trouble = lambda names: TypeError("poison") if "poison" in names else None
        names = [str(n) for n in range(40)]
        names[20] = "poison"
        got = await outcomes(recorder, names)
        assert got[20] == "TypeError"
        assert got[:20] + got[21:] == names[:20] + names[21:]

    run(check)


def test_a_slow_redis_costs_a_request_its_patience_and_no_more() -> None:
    async def check(recorder: Recorder, door: Door) -> None:
        door.open.clear()
        assert set(await outcomes(recorder, [str(n) for n in range(LANES * BATCH * 2)])) == {"LedgerError"}
        assert len(door.batches) == LANES  # the lanes are where they were
        door.open.set()
        assert await outcomes(recorder, ["a", "b"]) == ["a", "b"]
        given_up = [name for batch in door.batches[LANES:] for name in batch]
        assert given_up == ["a", "b"]  # what nobody waits for is not sent any more

    run(check, patience=0.02)


def test_beyond_the_most_that_may_wait_a_request_is_refused_at_once() -> None:
    async def check(recorder: Recorder, door: Door) -> None:
        door.open.clear()
        first = [asyncio.create_task(recorder.record([arrival(str(n))])) for n in range(LANES)]
        await asyncio.sleep(0.01)
        waiting = [asyncio.create_task(recorder.record([arrival(f"w{n}")])) for n in range(20)]
        await asyncio.sleep(0)
        with pytest.raises(LedgerError, match="too many"):
            await recorder.record([arrival("one more")])
        door.open.set()
        assert len(await asyncio.gather(*first, *waiting)) == LANES + 20

    run(check, most_waiting=20)


def test_a_request_that_is_cancelled_takes_nobody_along() -> None:
    async def check(recorder: Recorder, door: Door) -> None:
        door.open.clear()
        tasks = [asyncio.create_task(recorder.record([arrival(str(n))])) for n in range(8)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        door.open.set()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        assert [isinstance(answer, asyncio.CancelledError) for answer in answers] == [True, False] * 4

    run(check)


def test_idle_lanes_do_nothing() -> None:
    async def check(recorder: Recorder, door: Door) -> None:
        await outcomes(recorder, [str(n) for n in range(200)])
        sent = len(door.batches)
        for _ in range(50):
            await asyncio.sleep(0)
        assert len(door.batches) == sent
        assert not recorder._queue
        await asyncio.sleep(0.01)
        assert recorder._look_timer is None

    run(check, patience=0.02)


def test_two_that_come_together_wake_one_lane() -> None:
    async def check(recorder: Recorder, door: Door) -> None:
        assert await outcomes(recorder, ["a", "b"]) == ["a", "b"]
        assert door.batches == [["a", "b"]]

    run(check)


def test_who_still_waits_when_the_process_ends_is_told() -> None:
    async def check(recorder: Recorder, door: Door) -> None:
        door.open.clear()
        names = [str(n) for n in range(LANES * BATCH + 5)]
        waiting = asyncio.create_task(outcomes(recorder, names))
        await asyncio.sleep(0.01)
        await recorder.stop()
        assert await waiting == ["LedgerError"] * len(names)

    asyncio.run(stopping(check))


def test_lanes_that_wait_for_the_disk_carry_as_much_as_they_are_told() -> None:
    async def check(recorder: Recorder, door: Door) -> None:
        names = [f"r{n}" for n in range(SLOW_BATCH + 50)]
        assert await outcomes(recorder, names) == names
        assert list(map(len, door.batches)) == [SLOW_BATCH, 50]

    run(check, batch=SLOW_BATCH)
