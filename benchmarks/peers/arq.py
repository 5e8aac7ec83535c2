"""arq, results kept (its default)."""

from arq import create_pool
from arq.connections import RedisSettings

from benchmarks.peers import jobs
from benchmarks.sending import main

_pools = []


async def noop(_, number):
    return await jobs.noop(number)


async def sleep(_, number):
    return await jobs.sleep(number)


class Worker:
    functions = (noop, sleep)
    redis_settings = RedisSettings.from_dsn(jobs.REDIS)
    max_jobs = jobs.SLOTS
    poll_delay = 0.001
    log_results = False


async def enqueue(kind, numbers):
    if not _pools:
        _pools.append(await create_pool(Worker.redis_settings))
    for number in numbers:
        await _pools[0].enqueue_job(kind, number)


if __name__ == "__main__":
    main(enqueue)
