"""RQ: its forking Worker, or with ``--simple`` the SimpleWorker that runs jobs in its own process.

The module is imported before the first fork, as RQ's documentation advises.
"""

import logging
import sys

from redis import Redis
from rq import Queue, SimpleWorker, Worker

from benchmarks.peers import jobs
from benchmarks.sending import main

KINDS = {"noop": jobs.noop_def, "block": jobs.block}
queue = Queue(connection=Redis.from_url(jobs.REDIS))


def enqueue(kind, numbers):
    queue.enqueue_many([Queue.prepare_data(KINDS[kind], (number,)) for number in numbers])


def work(worker):
    logging.getLogger("rq").setLevel(logging.WARNING)
    worker([queue], connection=queue.connection, log_job_description=False).work(logging_level="WARNING")


if __name__ == "__main__":
    if sys.argv[1] == "work":
        work(SimpleWorker if "--simple" in sys.argv else Worker)
    else:
        main(enqueue)
