"""huey on Redis, results kept. It takes a job off Redis before it runs it: a crash loses that job."""

from huey import RedisHuey

from benchmarks.peers import jobs
from benchmarks.sending import main

huey = RedisHuey("bench", url=jobs.REDIS)
KINDS = {"noop": huey.task()(jobs.noop_def), "block": huey.task()(jobs.block)}


def enqueue(kind, numbers):
    for number in numbers:
        KINDS[kind](number)


if __name__ == "__main__":
    main(enqueue)
