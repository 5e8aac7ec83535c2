"""Every call of the API, in the order in which a reader wants them: a table a subject."""

from ingest.openapi.call import Call
from ingest.openapi.calls import callbacks, events, files, jobs, process, queues, receiving, replays

CALLS: tuple[Call, ...] = (
    *receiving.CALLS,
    *jobs.CALLS,
    *events.CALLS,
    *replays.CALLS,
    *callbacks.CALLS,
    *files.CALLS,
    *queues.CALLS,
    *process.CALLS,
)
