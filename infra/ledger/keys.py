"""The name of every key that Hookline or RQ keeps in Redis; scripts get them as the table ``K``.

RQ's own keys follow RQ 3 (``rq/job.py``, ``rq/registry.py``, ``rq/worker_registration.py``), so that its tools read them.
Names that end in ``:`` take an id, a queue, a source or a type behind them. ``docs/ledger.md`` says what each holds.
"""

# RQ's
QUEUES = "rq:queues"  # set of queue keys
QUEUE = "rq:queue:"  # list of job ids; the head is taken first
JOB = "rq:job:"  # hash: RQ's fields, and ours: lease, attempt, crashes, due, round, outcome, event
RESULTS = (
    "rq:results:"  # stream: one entry an attempt, RQ's fields and ours: number, outcome, error, handler, of
)
STARTED = "rq:wip:"  # sorted set of `{job}:{token}`, scores far in the future
FINISHED = "rq:finished:"  # sorted sets of job ids, by the second at which they are past retention
FAILED = "rq:failed:"
CANCELED = "rq:canceled:"
SCHEDULED = "rq:scheduled:"  # sorted set of job ids, by the second at which they are due
WORKERS = "rq:workers"  # set of worker keys
WORKERS_OF = "rq:workers:"  # the same, for one queue
WORKER = "rq:worker:"  # hash that `rq info` shows

# Ours
EVENT = (
    "hookline:event:"  # hash: head (JSON), body (as sent), job:{id} (seal and birth), duplicates, differing
)
SEEN = "hookline:seen:"  # string: the first event's id; expires with the deduplication window
JOBS = "hookline:jobs"  # sorted set of all job ids, by the millisecond of creation
JOBS_OF = "hookline:jobs:"  # the same for one kind, which is `{source}:{type}`
KINDS = "hookline:kinds"  # set of the kinds that have such an index
OPEN = "hookline:open"  # the jobs that have not ended, likewise: what the sweeper walks
IGNORED = "hookline:ignored"  # the jobs that no worker had a handler for
LEASES = "hookline:leases"  # sorted set of workers, by the millisecond at which their lease ends
RUNNING = "hookline:running:"  # set of the jobs that one worker holds
HELD = "hookline:worker:"  # hash of one worker: sequence and ids of its last claim, its manifest, lost
CALLBACK = "hookline:callback:"  # hash: status, created_at, attempts, lease, reason, log (JSON list)
CALLBACKS = "hookline:callbacks"  # sorted set of callback ids, by the millisecond of creation
CALLBACKS_AS = "hookline:callbacks:"  # the same for one status, by the millisecond at which it was reached
OUTBOX = "hookline:outbox"  # sorted set of pending callbacks, by the millisecond at which they are due
LOG = "hookline:log:"  # list of JSON lines that one job's handler logged
LIVE = "hookline:live"  # stream of changes, for watchers
WAKE = "hookline:wake"  # channel: something fell due sooner than workers expect
CURSOR = "hookline:cursor:"  # where a walk goes on: open, pending, jobs, rebuild
COUNTS = "hookline:counts"  # hash of counters: quarantined, rebuilt, set_aside
QUARANTINE = "hookline:quarantine"  # hash: what was put aside, and why
CORRUPT = "hookline:corrupt:"  # a key of the wrong kind, moved out of the way whole
SCRATCH = "hookline:scratch"  # lives only inside a script


def lua_table() -> str:
    """The names as a Lua table, which stands before every script.

    >>> "queue = 'rq:queue:'" in lua_table()
    True
    """
    names = {name.lower(): value for name, value in globals().items() if name.isupper()}
    return "local K = {" + ", ".join(f"{name} = '{value}'" for name, value in sorted(names.items())) + "}\n"
