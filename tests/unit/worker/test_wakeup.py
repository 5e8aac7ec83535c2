"""How a worker is woken and told."""

import asyncio

import fakeredis

from infra.ledger import keys
from infra.redis_client import memory
from worker.wakeup import Polling, listen, tell


def test_each_channel_is_heard_by_its_own_and_a_new_start_is_told_of() -> None:
    async def main() -> None:
        server, heard = fakeredis.FakeServer(), list[tuple[str, bytes]]()
        listening = asyncio.Event()
        task = asyncio.create_task(
            listen(
                lambda: memory(server).asynchronous,
                {
                    keys.WAKE: lambda message: heard.append(("ours", message)),
                    "other": lambda message: heard.append(("other", message)),
                },
                again=listening.set,
            )
        )
        client = memory(server).asynchronous
        async with asyncio.timeout(5):
            await listening.wait()
            while len(heard) < 2:
                heard.clear()
                await tell(client, "schedule")
                await client.publish("other", "hello")
                await asyncio.sleep(0.01)
        task.cancel()
        assert heard == [("ours", b"schedule"), ("other", b"hello")]

    asyncio.run(main())


def test_a_job_wakes_who_looks_and_nobody_else() -> None:
    async def main() -> None:
        server, notices = fakeredis.FakeServer(), list[None]()
        client = memory(server).asynchronous
        polling = Polling(memory(server).asynchronous, ["high", "low"])
        task = asyncio.create_task(polling.run(lambda: notices.append(None)))
        await client.rpush(keys.QUEUE + "low", "job_1")
        await asyncio.sleep(0.05)
        assert notices == []
        polling.arm(["high", "low"])
        async with asyncio.timeout(5):
            while not notices:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        task.cancel()
        assert len(notices) == 1

    asyncio.run(main())
