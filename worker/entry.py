"""What stands in RQ's job records as the function to call.

Our worker never calls it: it goes by the event. A stock ``rq worker`` that takes one of our jobs does, and the job goes
back to its queue, for only our worker knows how to run it, to fence it and to call back.
"""

import logging

from rq import Retry

log = logging.getLogger(__name__)

_GIVE_BACK_AFTER_SECONDS = 15


def run(job_id: str) -> Retry:
    """Give the job back, in RQ's own way, and say why."""
    log.error("a stock rq worker took %s and gave it back: run `hookline worker` instead", job_id)
    return Retry(max=1_000_000, interval=_GIVE_BACK_AFTER_SECONDS)
