"""What `hookline doctor` finds: pure functions from what was seen to what is wrong with it, and how to mend it.

An error can lose data, or nothing works; a warning is worth a look.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from infra.cli.dev_state import secret_variable
from infra.cli.tables import counted, relative
from infra.ledger.overview import LiveWorker
from infra.ledger.reading import QueueCounts
from infra.ledger.records import HandlerEntry
from infra.settings import Settings, SettingsError
from infra.signatures import Scheme, SchemeError, callback_keys_of, whsec_key
from infra.store import Facts
from ingest.sources import Sources

_OLDEST_SERVERS = {"Redis": (7, 0), "Valkey": (7, 2)}
_SHORTEST_KEY = 16  # characters, or bytes
_SHORTEST_CALLBACK_KEY = 24  # bytes; Standard Webhooks
_CLOCKS_APART = timedelta(seconds=5)
_MEMORY_SHARE = 0.8
_LONG_WAIT = timedelta(minutes=5)


class Severity(StrEnum):
    """How bad it is."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong.

    Args:
        what: in a line.
        cure: what to do about it.
    """

    severity: Severity
    what: str
    cure: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What was read of the ledger.

    Args:
        now: on Redis's clock.
        entries: what the live workers handle.
        waiting_since: by queue, when the job at its head was queued.
        quarantined: ids of the records that were put aside.
        corrupt: keys of the wrong kind that were moved away.
        dead_callbacks: how many callbacks were given up.
        sealed_by_others: none of our secret keys has sealed any of the newest events.
    """

    now: datetime
    workers: Sequence[LiveWorker] = ()
    entries: Sequence[HandlerEntry] = ()
    queues: Sequence[QueueCounts] = ()
    waiting_since: Mapping[str, datetime]
    quarantined: Sequence[str] = ()
    corrupt: Sequence[str] = ()
    dead_callbacks: int = 0
    sealed_by_others: bool = False


def of_settings(settings: Settings, sources: Sources) -> Iterator[Finding]:
    """Secrets that are missing or weak, links that lead nowhere."""
    if settings.redis_url is None:
        yield _error(
            "REDIS_URL is not set: there is nowhere to keep events", "point it at Redis ≥ 7.0 or Valkey ≥ 7.2"
        )
    if not settings.secret_keys:
        yield _error(
            "HOOKLINE_SECRET_KEY is not set: web and worker don't start",
            "set any long random text, the same for web and worker",
        )
    elif min(len(key) for key in settings.secret_keys) < _SHORTEST_KEY:
        yield _warning(
            f"HOOKLINE_SECRET_KEY is shorter than {_SHORTEST_KEY} characters: it can be guessed",
            "put a long random one first, and take the short one out after HOOKLINE_LINK_TTL",
        )
    yield from _of_callback_secrets(settings, sources)
    yield from _of_private_keys(settings)
    if settings.public_url is None:
        yield _warning(
            "HOOKLINE_PUBLIC_URL is not set: links are paths, and callbacks carry none",
            "set it to the address that senders call, such as https://hooks.example.com",
        )


def _of_callback_secrets(settings: Settings, sources: Sources) -> Iterator[Finding]:
    calling = [source.name for source in sources if source.callback_url and not source.callback_secrets]
    if not settings.callback_secrets:
        if calling or settings.api_keys:
            who = ", ".join(calling) or "POST /jobs"
            yield _error(
                f"HOOKLINE_CALLBACK_SECRET is not set, and callbacks are possible ({who}): web and worker don't start",
                "set whsec_ and 24 to 64 random bytes in base64",
            )
        return
    try:
        shortest = min(len(whsec_key(secret)) for secret in settings.callback_secrets)
    except SchemeError as error:
        yield _error(f"HOOKLINE_CALLBACK_SECRET {error}", "set whsec_ and 24 to 64 random bytes in base64")
        return
    if shortest < _SHORTEST_CALLBACK_KEY:
        yield _warning(
            f"HOOKLINE_CALLBACK_SECRET has fewer than {_SHORTEST_CALLBACK_KEY} bytes: outcomes can be forged",
            "put a new one first, tell the receivers, and take the short one out",
        )


def _of_private_keys(settings: Settings) -> Iterator[Finding]:
    try:
        callback_keys_of(settings)
    except SettingsError as error:
        yield _error(str(error), "take a line of `hookline keys new`")


def of_sources(sources: Sources, settings: Settings) -> Iterator[Finding]:
    """Senders that are refused, or that others could play."""
    if not sources.by_name and not settings.api_keys:
        yield _warning(
            "there is no source and no API key: nothing can come in",
            "set SOURCE_<NAME>_SECRET, write sources.toml, or set HOOKLINE_API_KEYS",
        )
    for name in sources.without_secret:
        yield _warning(
            f"source {name} has no secret: everything that it sends is refused",
            f"set {secret_variable(name)}, or what sources.toml refers to",
        )
    for source in sources:
        if any(len(secret) < _SHORTEST_KEY for secret in source.secrets):
            yield _warning(
                f"source {source.name} has a secret of fewer than {_SHORTEST_KEY} bytes: it can be guessed",
                "make a longer one, accept both, switch the sender, take the short one out",
            )
    for source in sources:
        if not source.scheme.needs_secret:
            yield _warning(
                f"source {source.name} is signed by nobody: whoever knows its address is believed",
                "let its sender sign, or bring a secret: scheme url-secret, at the least",
            )
        if source.scheme.has_timestamp and _longest_tolerance(source.scheme) > settings.dedup_window:
            yield _warning(
                f"source {source.name} takes a signature for longer than HOOKLINE_DEDUP_WINDOW: an old request is new again",
                "shorten its tolerance, or lengthen the window",
            )
    for name in sources.open_to_secrets:
        yield _warning(
            f"source {name} lets anybody bring a secret, and answers (handshake = open)",
            "when the provider is set up: set the secret, and take the key out",
        )
    for variable in sources.ignored:
        yield _warning(
            f"{variable} reads like a source's key, and there is no such source",
            "mend its name, or give the source a secret",
        )


def of_server(facts: Facts) -> Iterator[Finding]:
    """What a Redis does that loses acknowledged events, or soon will."""
    if (oldest := _too_old(facts.name)) is not None:
        yield _error(f"{facts.name} is too old for our scripts", f"move to {oldest} or newer")
    if facts.cluster:
        yield _error("Redis is a cluster, and RQ's keys can't live in one", "give us a single server")
    if facts.replica:
        yield _error("Redis is a read-only replica", "point REDIS_URL at the primary")
    if not facts.append_only:
        yield _error(
            "Redis keeps no append-only file: a restart loses what was accepted",
            "set `appendonly yes`, and keep its directory on a disk that lasts",
        )
    if facts.writes_fail:
        yield _error(
            f"Redis refuses writes: {facts.writes_fail}", "look at its disk: full, read-only or not there"
        )
    if facts.eviction != "noeviction":
        yield _error(
            f"Redis deletes records when its memory is full ({facts.eviction})",
            "set `maxmemory-policy noeviction`",
        )
    if facts.memory_most and facts.memory_used >= facts.memory_most * _MEMORY_SHARE:
        share = facts.memory_used / facts.memory_most
        yield Finding(
            Severity.ERROR if share >= 1 else Severity.WARNING,
            f"Redis uses {share:.0%} of its memory; when it is full, nothing is accepted",
            "raise `maxmemory`, or shorten HOOKLINE_RETENTION",
        )
    if abs(facts.clock_off) > _CLOCKS_APART:
        direction = "ahead of" if facts.clock_off > timedelta(0) else "behind"
        yield _warning(
            f"Redis's clock is {abs(facts.clock_off).total_seconds():.0f} s {direction} this machine's",
            "let both follow a time server: signatures and due times go by the clock",
        )


def of_workers(seen: Seen, sources: Sources) -> Iterator[Finding]:
    """Work that nobody will do."""
    served = {queue for worker in seen.workers for queue in worker.queues}
    if not seen.workers:
        yield _error("no worker is alive: what is accepted waits", "start `hookline worker`")
        return
    waiting = {queue.name: queue.queued + queue.scheduled + queue.started for queue in seen.queues}
    for name, jobs in waiting.items():
        if jobs and name not in served:
            yield _error(f"{counted(jobs, 'job')} in queue {name}, which no live worker serves", _serve(name))
    wanted = {source.queue for source in sources} | {entry.queue for entry in seen.entries if entry.queue}
    for name in sorted(wanted - served):
        if not waiting.get(name):
            yield _warning(f"jobs may go to queue {name}, which no live worker serves", _serve(name))
    handled = {entry.source for entry in seen.entries}
    for source in sources:
        if source.secrets and source.name not in handled:
            yield _warning(
                f"no live worker has a handler for source {source.name}: its events are kept and ignored",
                f'write one: @handler("{source.name}", "*")',
            )
    for name, since in sorted(seen.waiting_since.items()):
        if name in served and seen.now - since > _LONG_WAIT:
            depth = next((queue.queued for queue in seen.queues if queue.name == name), 0)
            yield _warning(
                f"{counted(depth, 'job')} in queue {name}; the next one was queued {relative(since, seen.now)}",
                "start more workers, or raise HOOKLINE_CONCURRENCY",
            )


def of_records(seen: Seen) -> Iterator[Finding]:
    """What was put aside or given up, and waits for a person, or is about to be."""
    if seen.sealed_by_others:
        yield _error(
            "none of the newest events is sealed with our HOOKLINE_SECRET_KEY: a worker that has it puts their jobs aside",
            "give web and worker the same keys; to change one, put the new one first and leave the old one behind it",
        )
    if seen.quarantined:
        yield _warning(
            f"{counted(len(seen.quarantined), 'record')} put aside, changed or mangled in Redis: {_some(seen.quarantined)}",
            "find out who writes to this Redis; ask the senders to send those events again",
        )
    if seen.corrupt:
        yield _warning(
            f"{counted(len(seen.corrupt), 'key')} of the wrong kind moved away: {_some(seen.corrupt)}",
            "find out who writes to this Redis, then delete them; what they held was rebuilt from the events",
        )
    if seen.dead_callbacks:
        yield _warning(
            f"{counted(seen.dead_callbacks, 'callback')} given up: their receivers never took them",
            "`hookline jobs show` tells what each receiver answered",
        )


def _error(what: str, cure: str) -> Finding:
    return Finding(Severity.ERROR, what, cure)


def _warning(what: str, cure: str) -> Finding:
    return Finding(Severity.WARNING, what, cure)


def _serve(queue: str) -> str:
    return f"add {queue} to a worker's HOOKLINE_QUEUES"


def _longest_tolerance(scheme: Scheme) -> timedelta:
    """How far a signed moment may be from our clock, whichever way is the longer."""
    ways = (getattr(scheme, "tolerance", None), getattr(scheme, "tolerance_future", None))
    return max((way for way in ways if way is not None), default=timedelta(0))


def _some(names: Sequence[str]) -> str:
    """The first three, and whether there are more."""
    return ", ".join(names[:3]) + (", …" if len(names) > 3 else "")


def _too_old(name: str) -> str | None:
    """The oldest server that would do, if this one does not; a version that can't be read is not judged.

    >>> _too_old("Redis 6.2.14"), _too_old("Valkey 9.1.2"), _too_old("Redis unstable")
    ('Redis 7.0', None, None)
    """
    kind, _, version = name.partition(" ")
    numbers = version.split(".")
    if (
        kind not in _OLDEST_SERVERS
        or len(numbers) < 2
        or not all(number.isdecimal() for number in numbers[:2])
    ):
        return None
    oldest = _OLDEST_SERVERS[kind]
    return None if (int(numbers[0]), int(numbers[1])) >= oldest else f"{kind} {oldest[0]}.{oldest[1]}"
