"""The name of every key that Hookline or RQ keeps in Redis; a script says ``K.job`` for `JOB`.

RQ's own keys follow RQ 3 (``rq/job.py``, ``rq/registry.py``, ``rq/worker_registration.py``), so that its tools read them.
Names that end in ``:`` take an id, a queue, a source or a type behind them. ``docs/ledger.md`` says what each holds.
"""

import re

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
HELD = "hookline:worker:"  # hash of one worker: sequence and ids of its last claim, its manifest, lost, drain
CALLBACK = "hookline:callback:"  # hash: status, created_at, attempts, earlier, lease, reason, log (JSON list)
CALLBACKS = "hookline:callbacks"  # sorted set of callback ids, by the millisecond of creation
CALLBACKS_AS = "hookline:callbacks:"  # the same for one status, by the millisecond at which it was reached
OUTBOX = "hookline:outbox"  # sorted set of pending callbacks, by the millisecond at which they are due
RECEIVER = "hookline:receiver:"  # hash of one receiver: url, seen, taken, failing, error, paused, reason, grade, graded, probes, checking
RECEIVERS = (
    "hookline:receivers"  # sorted set of receivers' ids, by the millisecond at which each was last noted
)
PAUSED = "hookline:receivers:paused"  # those of them that are paused, by the millisecond since which
THROTTLED = "hookline:throttled"  # sorted set of the hosts that answered 429, by the millisecond of the last
STEPS = "hookline:steps:"  # hash of what one job's attempts keep for the next: steps, jobs they made, waits
WAITING = "hookline:waiting:"  # set of the jobs that wait for the event of one key
AWAITED = "hookline:awaited"  # string: there while any job may wait for an event
ARRIVED = "hookline:arrived:"  # string: the event that came for one wait key; expires like SEEN
TICKS = "hookline:ticks"  # hash: for each recurring handler, when it was due last
SCHEDULES = "hookline:schedules"  # hash: what workers tell of each recurring handler (JSON)
HELD_BACK = "hookline:held-back"  # hash: queues and handlers that are paused, since when, by whom (JSON)
REFUSED = "hookline:refused:"  # sorted set of samples of refused requests, by the millisecond
ACTS = "hookline:acts:"  # list of what was done to one job by hand, and by whom (JSON)
BATCH = "hookline:batch:"  # string: the jobs that were submitted together (seal and JSON)
REPLAYED = "hookline:replayed"  # hash: the event of each job that is a replay
REPLAY = "hookline:replay:"  # hash of one bulk replay: status, what it selects and how, counts, lease
REPLAY_PLAN = "hookline:replay-plan:"  # list of the jobs that one bulk replay has still to look at
REPLAY_OPEN = "hookline:replay-open:"  # set of the jobs that it has begun and whose end it has not counted
REPLAYS = "hookline:replays"  # sorted set of bulk replays, by the millisecond of creation
REPLAYS_DUE = "hookline:replays-due"  # sorted set of those that run, by the millisecond at which they go on
RATE = "hookline:rate:"  # string: when all places of one source's rate are free again, in ms; expires then
LOG = "hookline:log:"  # list of JSON lines that one job's handler logged
LIVE = "hookline:live"  # stream of changes, for watchers
WAKE = "hookline:wake"  # channel: something fell due sooner than workers expect
CURSOR = "hookline:cursor:"  # where a walk goes on: open, pending, jobs, rebuild
AUDIT = "hookline:audit"  # list of what people did at the console (JSON), newest first
SIGNED_OUT = "hookline:signed-out"  # sorted set of the console's sessions that were ended, by the ms until which they are remembered
SECRETS = "hookline:secrets"  # hash: for each secret of a source, hashed under our key, when it was seen first and last
PULSE = "hookline:pulse:"  # hash for one hour, or one day: what was counted in each minute, or hour
METRICS = "hookline:metrics"  # hash: what all processes have counted, by series
MEASURED = "hookline:measured:"  # string: the last sequence that one process has counted with; expires
TURN = "hookline:turn:"  # string: which worker does, for now, what one of all does once in a while; expires
FAILURES = (
    "hookline:failures"  # hash of groups of failed attempts: counts, moments, a job, what they share (JSON)
)
ARCHIVE = "hookline:archive"  # hash: who archives, until when; when it last went well, since when and why not
TROUBLES = (
    "hookline:troubles"  # hash: what is wrong, or has ended untold: id, moments, whether it was told, facts
)
HISTORY = "hookline:history"  # hash: how much of each kind came in each hour, how long the queues were
COUNTS = "hookline:counts"  # hash of counters: quarantined, rebuilt, archived, changes; and entries of the live stream, a thousand changes apart
QUARANTINE = "hookline:quarantine"  # hash: what was put aside, and why
CORRUPT = "hookline:corrupt:"  # a key of the wrong kind, moved out of the way whole
SCRATCH = "hookline:scratch"  # lives only inside a script


def named(script: str) -> str:
    """A script with the name of the key in place of each ``K.name``: a table of them would be made anew at every call.

    >>> named("redis.call('LLEN', K.queue .. queue)")
    "redis.call('LLEN', 'rq:queue:' .. queue)"
    """
    return re.sub(r"\bK\.([a-z_]+)", lambda found: f"'{globals()[found[1].upper()]}'", script)
