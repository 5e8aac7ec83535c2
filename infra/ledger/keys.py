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
DEFERRED = "rq:deferred:"  # sorted set of the job ids that are parked, by the second since which
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
LINE = "hookline:line:"  # list of the job ids of one ordering key that have not ended; only the head may run
HOLDING = "hookline:holding:"  # set of the jobs that hold a place under one handler's limit
PARKED = "hookline:parked:"  # list of the jobs that wait for such a place
LIMITS = "hookline:limits"  # hash: the limit of each handler that has one, as last told
TOLD = "hookline:told"  # hash: for each kind, the manifest's entry that a worker told last, and when
LEASES = "hookline:leases"  # sorted set of workers, by the millisecond at which their lease ends
RUNNING = "hookline:running:"  # set of the jobs that one worker holds
HELD = "hookline:worker:"  # hash of one worker: sequence and ids of its last claim, its manifest, lost
CALLBACK = "hookline:callback:"  # hash: status, created_at, attempts, earlier, lease, reason, log (JSON list)
CALLBACKS = "hookline:callbacks"  # sorted set of callback ids, by the millisecond of creation
CALLBACKS_AS = "hookline:callbacks:"  # the same for one status, by the millisecond at which it was reached
OUTBOX = "hookline:outbox"  # sorted set of pending callbacks, by the millisecond at which they are due
STEPS = "hookline:steps:"  # hash of what one job's attempts keep for the next: steps, jobs they made, waits
WAITING = "hookline:waiting:"  # set of the jobs that wait for the event of one key
AWAITED = "hookline:awaited"  # string: there while any job may wait for an event
ARRIVED = "hookline:arrived:"  # string: the event that came for one wait key; expires like SEEN
TICKS = "hookline:ticks"  # hash: for each recurring handler, when it was due last
REFUSED = "hookline:refused:"  # sorted set of samples of refused requests, by the millisecond
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
