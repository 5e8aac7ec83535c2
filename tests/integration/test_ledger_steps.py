"""What attempts keep for the next ones: by whom, until when, and that nobody else's word counts."""

from datetime import timedelta

from infra.ledger import Ledger, Seal, keys
from tests.conftest import Store
from tests.integration.ledger_bench import (
    FAILED,
    FINISHED,
    NOW,
    RELEASED,
    RETRIED,
    Bench,
    on,
)


def test_what_an_attempt_kept_the_next_one_finds(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        claim = await bench.take()
        assert await bench.ledger.steps.kept(claim.job_id) == {}
        assert await bench.ledger.steps.keep(claim, "step:fetch ü", '{"ü":1}')
        await bench.settle(RETRIED, claim)

        (again,) = await bench.claim("w2")

        assert await bench.ledger.steps.kept(again.job_id) == {"step:fetch ü": '{"ü":1}'}

    on(ledger_store, scenario)


def test_of_a_step_is_noted_which_attempt_kept_it_and_when(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        claim = await bench.take()
        await bench.ledger.steps.keep(claim, "step:fetch ü", "1")
        await bench.settle(RETRIED, claim)
        (again,) = await bench.claim("w2")
        for name in ("step:store", "step:spoilt", "until:tomorrow"):
            await bench.ledger.steps.keep(again, name, "1")
        await bench.client.hset(keys.STEPS + claim.job_id, "kept:spoilt", "9" * 40)

        history = await bench.ledger.histories.history(claim.event_id)

        assert history is not None
        (job,) = history.jobs
        assert job.steps == ("fetch ü", "spoilt", "store")
        assert {name: (keeping.round, keeping.attempt) for name, keeping in job.kept.items()} == {
            "fetch ü": (1, 1),
            "store": (1, 2),
        }
        assert job.kept["fetch ü"].at <= job.kept["store"].at

    on(ledger_store, scenario)


def test_keeping_twice_is_keeping_once(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        claim = await bench.take()
        for _ in range(2):
            assert await bench.ledger.steps.keep(claim, "step:a", "1")

        assert await bench.ledger.steps.kept(claim.job_id) == {"step:a": "1"}

    on(ledger_store, scenario)


def test_who_lost_the_job_keeps_nothing(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        for outcome in (FINISHED, FAILED, RETRIED, RELEASED):
            claim = await bench.take()
            await bench.settle(outcome, claim)
            assert not await bench.ledger.steps.keep(claim, "step:late", "1")
            assert await bench.ledger.steps.kept(claim.job_id) == {}
            await bench.run_all()

        frozen = await bench.take("w1")
        await bench.die("w1")
        await bench.ledger.jobs.take_over()
        (claim,) = await bench.claim("w2")
        assert not await bench.ledger.steps.keep(frozen, "step:late", "1")
        assert await bench.ledger.steps.keep(claim, "step:in time", "1")
        assert await bench.ledger.steps.kept(claim.job_id) == {"step:in time": "1"}

    on(ledger_store, scenario)


def test_a_takeover_keeps_the_steps_of_the_dead(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        claim = await bench.take("w1")
        await bench.ledger.steps.keep(claim, "step:a", "1")
        await bench.die("w1")
        await bench.ledger.jobs.take_over()
        (again,) = await bench.claim("w2")

        assert await bench.ledger.steps.kept(again.job_id) == {"step:a": "1"}

    on(ledger_store, scenario)


def test_what_somebody_else_wrote_was_not_kept(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        claim, other = await bench.take(), await bench.take()
        await bench.ledger.steps.keep(claim, "step:a", "1")
        await bench.ledger.steps.keep(other, "step:b", "2")
        key = keys.STEPS + claim.job_id
        of_another_job = await bench.client.hget(keys.STEPS + other.job_id, "step:b")
        of_another_step = await bench.client.hget(key, "step:a")
        forged = {
            "step:b": of_another_job,
            "step:c": of_another_step,
            "step:d": b"3",
            "step:e": b"",
            b"\xff": b"\xff" * 40,
        }
        await bench.client.hset(key, mapping=forged)

        assert await bench.ledger.steps.kept(claim.job_id) == {"step:a": "1"}
        other_key = Ledger(bench.client, seal=Seal(["another key"]))
        assert await other_key.steps.kept(claim.job_id) == {}

    on(ledger_store, scenario)


def test_a_key_of_the_wrong_kind_costs_the_steps_alone(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        claim = await bench.take()
        await bench.client.set(keys.STEPS + claim.job_id, "garbage")

        assert await bench.ledger.steps.kept(claim.job_id) == {}
        assert await bench.ledger.steps.keep(claim, "step:a", "1")
        assert await bench.ledger.steps.kept(claim.job_id) == {"step:a": "1"}

    on(ledger_store, scenario)


def test_steps_go_with_their_job(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        claim = await bench.take()
        await bench.ledger.steps.keep(claim, "step:a", "1")
        await bench.settle(FINISHED, claim)
        assert await bench.client.exists(keys.STEPS + claim.job_id)
        await bench.ledger.jobs.retire()

        assert not await bench.client.exists(keys.STEPS + claim.job_id)

    on(ledger_store, scenario, retention=NOW, dead_retention=timedelta(days=1))
