"""taskiq over a Redis list, results kept. It takes a job off Redis before it runs it: a crash loses that job."""

from taskiq_redis import ListQueueBroker, RedisAsyncResultBackend

from benchmarks.peers import jobs
from benchmarks.sending import main

broker = ListQueueBroker(jobs.REDIS).with_result_backend(
    RedisAsyncResultBackend(jobs.REDIS, result_ex_time=600)
)
KINDS = {
    "noop": broker.task(task_name="noop")(jobs.noop),
    "sleep": broker.task(task_name="sleep")(jobs.sleep),
    "block": broker.task(task_name="block")(jobs.block),
}


async def enqueue(kind, numbers):
    for number in numbers:
        await KINDS[kind].kiq(number)


if __name__ == "__main__":
    main(enqueue)
