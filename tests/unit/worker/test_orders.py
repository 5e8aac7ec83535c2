"""What operators want of a worker while it works: paused queues and handlers, and its end."""

from typing import Any

import pytest

from infra.ledger import LedgerError
from infra.ledger.pauses import Held
from tests.unit.worker.test_engine import House, burst, in_loop, until, working
from worker.orders import Orders


def ran_by(house: House) -> list[str]:
    """The ids of the jobs that a handler has run so far."""
    ran: list[str] = []

    @house.registry.handler("acme", "t")
    async def handle(context: Any) -> None:
        ran.append(context.job_id)

    return ran


def handler_of(house: House) -> str:
    (entry,) = house.registry.manifest()
    return entry.handler


async def paused(house: House, kind: Held) -> str:
    """The name of what is paused from now on."""
    await house.ledger.workers.renew(
        "other",
        lease=house.worker()._lease_length,
        queues=["default"],
        manifest=house.registry.manifest(),
        record={},
    )
    name = "default" if kind is Held.QUEUE else handler_of(house)
    assert await house.ledger.pauses.pause(kind, name, by="ada")
    return name


@pytest.mark.parametrize("kind", Held)
def test_a_worker_that_starts_knows_what_is_paused(kind: Held) -> None:
    async def test(house: House) -> None:
        ran = ran_by(house)
        name = await paused(house, kind)
        job_id = await house.accept()
        assert await burst(house) == 0
        assert ((await house.job(job_id)).status, ran) == ("queued", [])
        await house.ledger.pauses.resume(kind, name)
        await burst(house)
        assert ran == [job_id]

    in_loop(test)


@pytest.mark.parametrize("kind", Held)
def test_a_worker_at_work_heeds_a_pause_and_its_end(kind: Held) -> None:
    async def test(house: House) -> None:
        ran = ran_by(house)
        async with working(house.worker()) as worker:
            await house.until_listening(worker)
            first = await house.accept()
            await house.until(first, "finished")
            name = await paused(house, kind)
            await until(
                lambda: worker._orders.news or worker._orders._heard.queues | worker._orders._heard.handlers
            )
            held = [await house.accept() for _ in range(3)]
            other = await house.accept("unknown", queue="low")
            await house.until(other, "ignored")
            assert ran == [first]
            await house.ledger.pauses.resume(kind, name)
            for job_id in held:
                await house.until(job_id, "finished")
            assert sorted(ran[1:]) == sorted(held)

    in_loop(test)


def test_a_worker_that_is_drained_ends_in_order() -> None:
    async def test(house: House) -> None:
        ran_by(house)
        worker = house.worker()
        async with working(worker):
            await house.until_listening(worker)
            await house.until(await house.accept(), "finished")
            await house.ledger.pauses.drain(worker.name, by="ada")
            await until(lambda: worker._stopping)
        assert await house.ledger.overview.workers() == []

    in_loop(test)


def test_what_could_not_be_read_is_as_it_was_and_what_was_not_let_in_is_tried_again() -> None:
    async def test(house: House) -> None:
        ran_by(house)
        name = await paused(house, Held.HANDLER)
        told: list[str] = []
        orders = Orders(
            house.ledger.pauses,
            worker="w",
            queues=("default",),
            manifest=house.registry.manifest(),
            look_every=house.worker()._lease_length,
            changed=lambda: told.append("changed"),
            drain=lambda: told.append("drain"),
        )
        await orders.hear()
        await orders.heed()
        assert (orders.limits, told) == (["acme:t", name, 0], ["changed"])

        await house.ledger.pauses.resume(Held.HANDLER, name)
        await orders.hear()
        let_in = house.ledger.pauses.let_in

        async def unconfirmed(*_: Any) -> None:
            raise LedgerError("Redis did not confirm")

        house.ledger.pauses.let_in = unconfirmed  # type: ignore[method-assign]
        with pytest.raises(LedgerError):
            await orders.heed()
        assert orders.news
        house.ledger.pauses.let_in = let_in  # type: ignore[method-assign]
        await orders.heed()
        assert (orders.news, orders.limits) == (False, [])

    in_loop(test)
