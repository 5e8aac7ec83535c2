"""Celery on Redis, results kept."""

from celery import Celery

from benchmarks.peers import jobs
from benchmarks.sending import main

REDIS = jobs.REDIS.replace("unix://", "redis+socket://")
app = Celery("bench", broker=REDIS, backend=REDIS)
app.conf.update(
    worker_prefetch_multiplier=100,
    worker_send_task_events=False,
    task_send_sent_event=False,
    broker_connection_retry_on_startup=True,
)
KINDS = {"noop": app.task(name="noop")(jobs.noop_def), "block": app.task(name="block")(jobs.block)}


def enqueue(kind, numbers):
    for number in numbers:
        KINDS[kind].delay(number)


if __name__ == "__main__":
    main(enqueue)
