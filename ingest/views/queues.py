"""Queues and workers as the API shows them."""

from collections.abc import Sequence
from typing import Any

from infra.ledger.measures import QueueStanding
from infra.ledger.overview import LiveWorker
from infra.ledger.pauses import Held, Pause, paused
from ingest.views.moments import moment


def queues_view(
    queues: Sequence[QueueStanding], workers: Sequence[LiveWorker], pauses: Sequence[Pause]
) -> dict[str, Any]:
    """Every queue that ever held a job, every worker that lives, and what is paused. What is parked is queued, as everywhere."""
    held_back = paused(pauses, Held.QUEUE)
    return {
        "queues": [
            {
                "name": queue.name,
                "queued": queue.queued + queue.parked,
                "scheduled": queue.scheduled,
                "started": queue.started,
                "failed": queue.failed,
                "oldest_seconds": round(queue.oldest.total_seconds(), 3),
                "paused": queue.name in held_back,
            }
            for queue in queues
        ],
        "workers": [
            {
                "name": worker.name,
                "host": worker.host,
                "queues": list(worker.queues),
                "busy": worker.busy,
                "slots": worker.slots,
                "version": worker.version,
                "draining": worker.draining,
                "started_at": moment(worker.started_at),
                "last_seen_at": moment(worker.seen_at),
            }
            for worker in workers
        ],
        "pauses": [pause_view(one) for one in pauses],
    }


def pause_view(pause: Pause) -> dict[str, Any]:
    """A queue, or a handler, that is paused."""
    return {"kind": pause.kind, "name": pause.name, "by": pause.by, "paused_at": moment(pause.at)}
