"""Queues and workers as the API shows them."""

from collections.abc import Sequence
from typing import Any

from infra.ledger.measures import QueueStanding
from infra.ledger.overview import LiveWorker
from ingest.views.moments import moment


def queues_view(queues: Sequence[QueueStanding], workers: Sequence[LiveWorker]) -> dict[str, Any]:
    """Every queue that ever held a job, and every worker that lives. What is parked is queued, as everywhere."""
    return {
        "queues": [
            {
                "name": queue.name,
                "queued": queue.queued + queue.parked,
                "scheduled": queue.scheduled,
                "started": queue.started,
                "failed": queue.failed,
                "oldest_seconds": round(queue.oldest.total_seconds(), 3),
            }
            for queue in queues
        ],
        "workers": [
            {
                "name": worker.name,
                "host": worker.host,
                "queues": list(worker.queues),
                "busy": worker.busy,
                "last_seen_at": moment(worker.seen_at),
            }
            for worker in workers
        ],
    }
