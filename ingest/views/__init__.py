"""Records as the API shows them (CONTRACT, section 6): plain functions from a record to JSON."""

from ingest.views.batches import batch_view
from ingest.views.callbacks import callback_view, called_view
from ingest.views.diagnoses import diagnosis_view
from ingest.views.events import event_view, listed_event_view
from ingest.views.jobs import canceled_view, job_view, listed_job_view, progress_view
from ingest.views.pages import page_view
from ingest.views.queues import pause_view, queues_view
from ingest.views.receivers import receiver_view
from ingest.views.replays import replay_view, selection_view

__all__ = [
    "batch_view",
    "callback_view",
    "called_view",
    "canceled_view",
    "diagnosis_view",
    "event_view",
    "job_view",
    "listed_event_view",
    "listed_job_view",
    "page_view",
    "pause_view",
    "progress_view",
    "queues_view",
    "receiver_view",
    "replay_view",
    "selection_view",
]
