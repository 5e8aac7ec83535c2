"""dramatiq on Redis, results kept."""

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend

from benchmarks.peers import jobs
from benchmarks.sending import main

broker = RedisBroker(url=jobs.REDIS)
broker.add_middleware(Results(backend=RedisBackend(url=jobs.REDIS)))
dramatiq.set_broker(broker)
KINDS = {
    "noop": dramatiq.actor(jobs.noop_def, store_results=True),
    "block": dramatiq.actor(jobs.block, store_results=True),
}


def enqueue(kind, numbers):
    for number in numbers:
        KINDS[kind].send(number)


if __name__ == "__main__":
    main(enqueue)
