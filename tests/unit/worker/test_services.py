"""What handlers ask of their worker, over a ledger: who may keep, what may be made, and a Redis that is away for a moment."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from handlers.errors import AttemptOver, CallRefused
from infra.clock import ManualClock
from infra.egress import EgressPolicy
from infra.ledger import LedgerError, keys
from infra.ledger.records import HandlerEntry, JobStatus
from infra.submission import Submission
from tests.conftest import Store
from tests.files import no_files
from tests.integration.ledger_bench import FINISHED, Bench, on
from worker import services
from worker.services import LedgerServices

NOW = datetime(2026, 11, 21, 20, 41, 11, tzinfo=UTC)
MAIL = HandlerEntry(
    source="api",
    type="mail",
    handler="m:mail",
    queue="low",
    timeout=timedelta(minutes=7),
    ordering_key="json:$.to",
)
Scenario = Callable[[Bench, LedgerServices], Awaitable[None]]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "_PAUSES", (0.0, 0.0))


def serving(store: Store, scenario: Scenario) -> None:
    async def running(bench: Bench) -> None:
        await scenario(
            bench,
            LedgerServices(bench.ledger, policy=EgressPolicy(), files=no_files(), clock=ManualClock(NOW)),
        )

    on(store, running)


def test_the_newest_jobs_of_a_type_are_found_by_their_tag(fake_store: Store) -> None:
    async def scenario(bench: Bench, asked: LedgerServices) -> None:
        await bench.renew(manifest=[MAIL])
        claim = await bench.take()
        made = [
            await asked.enqueue(
                claim, Submission(type="mail", payload={}, tag=tag, metadata={"n": number}), f"#{number}"
            )
            for number, tag in enumerate(("blue", "red", "blue", "blue"))
        ]

        blue = await asked.recent(claim, "mail", "blue", 10)
        assert {state.id for state in blue} == {made[0], made[2], made[3]}
        assert {(state.status, state.type) for state in blue} == {("queued", "mail")}
        assert {state.metadata["n"] for state in blue} == {0, 2, 3}
        assert len(await asked.recent(claim, "mail", None, 3)) == 3
        assert await asked.recent(claim, "other", None, 10) == []

    serving(fake_store, scenario)


def test_a_job_is_made_as_its_handler_wants_it_and_linked(fake_store: Store) -> None:
    async def scenario(bench: Bench, asked: LedgerServices) -> None:
        await bench.renew(manifest=[MAIL])
        claim = await bench.take()
        submission = Submission(type="mail", payload={"to": "ada"}, metadata={"a": 1}, tag="blue")

        job_id = await asked.enqueue(claim, submission, f"{claim.job_id}#1")
        again = await asked.enqueue(claim, submission, f"{claim.job_id}#1")
        other = await asked.enqueue(claim, submission, f"{claim.job_id}#2")

        job = await bench.job(job_id)
        assert (again, other == job_id) == (job_id, False)
        assert (job.source, job.type, job.queue, job.parent) == ("api", "mail", "low", claim.job_id)
        assert (job.ordering_key, job.metadata, job.created_at is not None) == ("ada", {"a": 1}, True)
        assert await bench.client.hget(keys.JOB + job_id, "timeout") == b"420"

    serving(fake_store, scenario)


def test_what_the_call_says_comes_first(fake_store: Store) -> None:
    async def scenario(bench: Bench, asked: LedgerServices) -> None:
        await bench.renew(manifest=[MAIL])
        claim = await bench.take()
        job_id = await asked.enqueue(
            claim, Submission(type="mail", payload={"to": "ada"}, queue="high", run_in="5m", ordering_key="x"), "k"
        )  # fmt: skip

        job = await bench.job(job_id)
        assert (job.queue, job.status, job.ordering_key) == ("high", JobStatus.SCHEDULED, "x")
        assert job.next_attempt_at is not None
        assert job.next_attempt_at - job.created_at == pytest.approx(
            timedelta(minutes=5), abs=timedelta(milliseconds=1)
        )

    serving(fake_store, scenario)


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        ({"type": "male"}, "no worker has a handler for ('api', 'male')"),
        (
            {"type": "mail", "callback_url": "http://10.0.0.1/"},
            "the callback URL is refused: only https on the allowed ports is called",
        ),
        ({"type": "mail", "callback_url": "nonsense"}, "the callback URL is refused: only https URLs are called"),
    ],
)  # fmt: skip
def test_a_job_that_would_come_to_nothing_is_refused(
    fake_store: Store, words: dict[str, Any], fault: str
) -> None:
    async def scenario(bench: Bench, asked: LedgerServices) -> None:
        await bench.renew(manifest=[MAIL])
        claim = await bench.take()
        with pytest.raises(CallRefused) as caught:
            await asked.enqueue(claim, Submission(**words), "k")

        assert str(caught.value).startswith(fault)
        assert len(await bench.jobs()) == 1

    serving(fake_store, scenario)


def test_before_any_worker_has_told_what_it_handles_a_job_is_made(fake_store: Store) -> None:
    async def scenario(bench: Bench, asked: LedgerServices) -> None:
        claim = await bench.take()
        assert await bench.job(await asked.enqueue(claim, Submission(type="mail"), "k"))

    serving(fake_store, scenario)


def test_who_lost_the_job_is_told(fake_store: Store) -> None:
    async def scenario(bench: Bench, asked: LedgerServices) -> None:
        claim = await bench.take()
        await asked.keep(claim, "step:a", "1")
        await bench.settle(FINISHED, claim)
        with pytest.raises(AttemptOver):
            await asked.keep(claim, "step:b", "2")

        assert await asked.kept(claim) == {"step:a": "1"}

    serving(fake_store, scenario)


def test_an_event_is_shown_as_it_was_sent(fake_store: Store) -> None:
    async def scenario(bench: Bench, asked: LedgerServices) -> None:
        claim = await bench.take()
        sent = await bench.accept(
            source="payments", provider_event_id="pay_1", headers={"x-id": "7"}, body=b'{"paid":true}'
        )
        awaited = await asked.look_for(claim, "payments", "pay_1", None)

        assert awaited.event is not None
        assert (awaited.event.id, awaited.event.payload) == (sent.event_id, {"paid": True})
        assert awaited.event.headers == {"x-id": "7"}
        assert (await asked.look_for(claim, "payments", "pay_1", sent.event_id)).event == awaited.event
        assert (await asked.look_for(claim, "orders", "pay_1", sent.event_id)).event is None

    serving(fake_store, scenario)


@pytest.mark.parametrize("failures", [2, 3])
def test_what_redis_does_not_confirm_is_asked_again_for_a_moment(
    fake_store: Store, failures: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(bench: Bench, asked: LedgerServices) -> None:
        claim, keep, left = await bench.take(), bench.ledger.steps.keep, failures

        async def unsteady(*words: Any) -> bool:
            nonlocal left
            left -= 1
            if left >= 0:
                raise LedgerError("Redis did not confirm")
            return await keep(*words)

        monkeypatch.setattr(bench.ledger.steps, "keep", unsteady)
        if failures == 3:
            with pytest.raises(LedgerError):
                await asked.keep(claim, "step:a", "1")
        else:
            await asked.keep(claim, "step:a", "1")
            assert await asked.kept(claim) == {"step:a": "1"}

    serving(fake_store, scenario)


def test_a_job_is_made_once_by_calls_at_the_same_time(fake_store: Store) -> None:
    async def scenario(bench: Bench, asked: LedgerServices) -> None:
        claim = await bench.take()
        made = await asyncio.gather(*(asked.enqueue(claim, Submission(type="mail"), "k") for _ in range(5)))

        assert len(set(made)) == 1

    serving(fake_store, scenario)
