"""Work that nobody does, and what was put aside or given up."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Final

from infra.findings.finding import Finding, error, some, warning
from infra.findings.seen import Seen
from infra.ledger.pauses import Held, Pause
from infra.words import counted, relative

ANY_TYPE: Final = "*"

PAUSED: Final = {Held.QUEUE: "queue-paused", Held.HANDLER: "handler-paused"}

_LONG_WAIT: Final = timedelta(minutes=5)

NO_WORKER: Final = error(
    "no-worker", "no worker is alive", why="what is accepted waits", cure="start `hookline worker`"
)


def of_workers(seen: Seen) -> Iterator[Finding]:
    """Work that nobody will do, or that waits."""
    if not seen.workers:
        yield NO_WORKER
        return
    served = {queue for worker in seen.workers for queue in worker.queues}
    for queue in seen.queues:
        if (jobs := queue.queued + queue.scheduled + queue.started) and queue.name not in served:
            yield error(
                "queue-unserved",
                f"no live worker serves queue {queue.name}",
                subject=queue.name,
                why=f"{counted(jobs, 'job')} in it will not run",
                cure=serve(queue.name),
            )
    yield from _of_handlers(seen)
    yield from of_pauses(seen.pauses, seen.now)
    held_back = {pause.name for pause in seen.pauses if pause.kind is Held.QUEUE}
    for name, since in sorted(seen.waiting_since.items()):
        if name in served - held_back and seen.now - since > _LONG_WAIT:
            depth = next((queue.queued for queue in seen.queues if queue.name == name), 0)
            yield warning(
                "queue-late",
                f"the next job in queue {name} was queued {relative(since, seen.now)}",
                subject=name,
                why=f"{counted(depth, 'job')} there, and no worker has a free place",
                cure="start more workers, or raise HOOKLINE_CONCURRENCY",
            )


def _of_handlers(seen: Seen) -> Iterator[Finding]:
    by_kind: dict[tuple[str, str], set[str]] = {}
    for entry in seen.entries:
        by_kind.setdefault((entry.source, entry.type), set()).add(entry.handler)
    for (source, type_), names in sorted(by_kind.items()):
        if len(names) > 1:
            yield warning(
                "handler-twice",
                f"live workers have different handlers for {source} {type_}: {some(sorted(names))}",
                subject=f"{source}:{type_}",
                why="which one runs is chance",
                cure="let all workers run the same version; during a deploy it passes by itself",
            )
    for source, type_ in seen.ignored:
        if (source, type_) not in by_kind and (source, ANY_TYPE) not in by_kind:
            yield warning(
                "type-unknown",
                f"no live worker has a handler for {source} {type_}",
                subject=f"{source}:{type_}",
                why="such events came in the last day, and were ignored",
                cure=f'write one: @handler("{source}", "{type_}"); `hookline events replay` then runs it for the old ones',
            )


def of_pauses(pauses: Iterable[Pause], now: datetime) -> Iterator[Finding]:
    """What somebody has paused, and may have forgotten."""
    for pause in pauses:
        yield warning(
            PAUSED[pause.kind],
            f"{pause.kind} {pause.name} is paused",
            subject=pause.name,
            why=f"its jobs wait; paused by {pause.by or 'somebody'} {relative(pause.at, now)}".rstrip(),
            cure=f"`hookline {pause.kind}s resume {pause.name}`",
        )


def of_records(seen: Seen) -> Iterator[Finding]:
    """What was put aside or given up, and waits for a person, or is about to be."""
    if seen.sealed_by_others:
        yield error(
            "key-differs",
            "none of the newest events is sealed with our HOOKLINE_SECRET_KEY",
            why="a worker that has it puts their jobs aside",
            cure="give web and worker the same keys; to change one, put the new one first and leave the old one behind it",
        )
    if seen.quarantined:
        yield warning(
            "quarantined",
            f"{counted(len(seen.quarantined), 'record')} put aside: {some(seen.quarantined)}",
            why="they were changed or mangled in Redis, and are not run",
            cure="find out who writes to this Redis; ask the senders to send those events again",
        )
    if seen.corrupt:
        yield warning(
            "corrupt",
            f"{counted(len(seen.corrupt), 'key')} of the wrong kind moved away: {some(seen.corrupt)}",
            why="somebody else writes to this Redis; what they held was made anew from the events",
            cure="find out who, then delete them",
        )
    if failed := sum(queue.failed for queue in seen.queues):
        yield warning(
            "jobs-given-up",
            f"{counted(failed, 'job')} given up",
            why="their handlers failed for good; they are kept until HOOKLINE_DEAD_RETENTION",
            cure="`hookline dead list` names them; once it is mended, `hookline jobs retry` runs one again",
        )
    if seen.dead_callbacks:
        yield warning(
            "callbacks-given-up",
            f"{counted(seen.dead_callbacks, 'callback')} given up",
            why="their receivers never took them",
            cure="`hookline jobs show` tells what each receiver answered",
        )
    if seen.paused_receivers:
        yield warning(
            "receivers-paused",
            f"{counted(len(seen.paused_receivers), 'receiver')} paused: {some(seen.paused_receivers)}",
            why="they get no callbacks",
            cure="`hookline receivers list` says why; once it is mended, `hookline receivers resume` sends what was withheld",
        )
    if seen.archive is not None and seen.archive.failing_since is not None:
        yield warning(
            "archive-away",
            f"archiving began to fail {relative(seen.archive.failing_since, seen.now)}: {seen.archive.error}",
            why="what is past retention waits, and Redis grows",
            cure="mend what HOOKLINE_ARCHIVE names: its address, its credentials, its disk; archiving goes on by itself",
        )


def serve(queue: str) -> str:
    """How to have a queue served."""
    return f"add {queue} to a worker's HOOKLINE_QUEUES"
