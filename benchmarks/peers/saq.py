"""SAQ on Redis, results kept (its default)."""

from saq.queue.redis import RedisQueue

from benchmarks.peers import jobs
from benchmarks.sending import main

queue = RedisQueue.from_url(jobs.REDIS)


async def noop(_, *, number):
    return await jobs.noop(number)


async def sleep(_, *, number):
    return await jobs.sleep(number)


settings = {"queue": queue, "functions": [noop, sleep], "concurrency": jobs.SLOTS}


async def enqueue(kind, numbers):
    for number in numbers:
        await queue.enqueue(kind, number=number)


if __name__ == "__main__":
    main(enqueue)
