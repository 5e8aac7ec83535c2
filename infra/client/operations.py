"""What operators ask for, and what is seldom asked: each a request, and the kind of its answer, for both clients.

>>> from infra.client import Client, operations
>>> pausing = operations.pause("queue", "low")
>>> pausing.call.method, pausing.call.path, pausing.kind.__name__
('POST', '/queues/low/pause', 'Paused')

``client.ask(pausing)`` asks for it, and ``await`` of the same the other client.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar
from urllib.parse import quote

from infra.client.calls import Call, narrowing
from infra.client.standing import (
    BulkReplay,
    Cancellation,
    Diagnosis,
    Draining,
    DryRun,
    Items,
    Paused,
    Queues,
    Receiver,
    Redelivery,
)

_T = TypeVar("_T")

Held = Literal["queue", "handler"]


@dataclass(frozen=True, slots=True)
class Operation(Generic[_T]):
    """A request, and what its answer is read as."""

    call: Call
    kind: type[_T]


# -- how things stand --------------------------------------------------------------------------------------------------


def queues() -> Operation[Queues]:
    """Queues, workers, and what is paused."""
    return Operation(Call("GET", "/queues"), Queues)


def receivers(*, status: str | None = None, limit: int | None = None) -> Operation[Items[Receiver]]:
    """Where callbacks went last.

    Args:
        status: ``active``, ``failing`` or ``paused``; None: any.
    """
    return Operation(
        Call("GET", "/receivers", narrowing({"status": status, "limit": limit})), Items[Receiver]
    )


def diagnose(source: str) -> Operation[Items[Diagnosis]]:
    """Why the last requests of a source were refused, the newest first."""
    return Operation(Call("GET", _path("sources", source, "diagnose")), Items[Diagnosis])


# -- paused, resumed, drained ------------------------------------------------------------------------------------------


def pause(kind: Held, name: str) -> Operation[Paused]:
    """Begin none of the jobs of a queue, or of a handler. Repeated, it is paused all the same."""
    return Operation(Call("POST", _path(f"{kind}s", name, "pause")), Paused)


def resume(kind: Held, name: str) -> Operation[Paused]:
    """Run them again."""
    return Operation(Call("POST", _path(f"{kind}s", name, "resume")), Paused)


def drain(worker: str) -> Operation[Draining]:
    """Have a worker end in order."""
    return Operation(Call("POST", _path("workers", worker, "drain")), Draining)


def pause_receiver(receiver_id: str) -> Operation[Receiver]:
    """Send nothing there: its callbacks are dead letters from then on."""
    return Operation(Call("POST", _path("receivers", receiver_id, "pause")), Receiver)


def resume_receiver(receiver_id: str) -> Operation[Receiver]:
    """Call it again; what was withheld is made again, and counted in `Receiver.redelivered`."""
    return Operation(Call("POST", _path("receivers", receiver_id, "resume"), repeatable=False), Receiver)


# -- many at once ------------------------------------------------------------------------------------------------------


def cancel_many(*, dry_run: bool = False, **filters: Any) -> Operation[Cancellation]:
    """Cancel all jobs that fit and have not ended, or count them.

    Args:
        filters: as lists take them; at least one.
    """
    asked = narrowing({**filters, "dry_run": dry_run})
    return Operation(Call("POST", "/jobs/cancel", json=asked, repeatable=dry_run), Cancellation)


def redeliver_many(
    *, rate: int | None = None, dry_run: bool = False, **filters: Any
) -> Operation[Redelivery]:
    """Make many callbacks again, the oldest first, or count them.

    Args:
        rate: so many a second; None: what the API does.
        filters: as lists take them; without a `status`, the dead letters.
    """
    asked = narrowing({**filters, "rate": rate, "dry_run": dry_run})
    return Operation(Call("POST", "/callbacks/redeliver", json=asked, repeatable=dry_run), Redelivery)


def count_again(**filters: Any) -> Operation[DryRun]:
    """How many jobs `run_again` would run, and how many of them have succeeded already.

    Args:
        filters: as lists take them, or `ids`; without a status and ids, the dead letters.
    """
    return Operation(_replays({"filter": narrowing(filters), "dry_run": True}, repeatable=True), DryRun)


def run_again(
    *, rate: int | None = None, max_error_share: float | None = None, **filters: Any
) -> Operation[BulkReplay]:
    """Run them, in the low lane.

    Args:
        rate: so many a second; None: what the API does.
        max_error_share: it stops where a larger share fails; likewise.
        filters: as `count_again` takes them.
    """
    terms = {"filter": narrowing(filters), "rate": rate, "max_error_share": max_error_share}
    return Operation(_replays(terms, repeatable=False), BulkReplay)


def replays() -> Operation[Items[BulkReplay]]:
    """The newest bulk replays."""
    return Operation(Call("GET", "/replays"), Items[BulkReplay])


def replay(replay_id: str) -> Operation[BulkReplay]:
    """One of them, as it stands."""
    return Operation(Call("GET", _path("replays", replay_id)), BulkReplay)


def cancel_replay(replay_id: str) -> Operation[BulkReplay]:
    """Begin no further job of it."""
    return Operation(Call("POST", _path("replays", replay_id, "cancel"), repeatable=False), BulkReplay)


# -- an event, elsewhere -----------------------------------------------------------------------------------------------


def body(event_id: str) -> Operation[bytes]:
    """An event's body as it was sent."""
    return Operation(Call("GET", _path("events", event_id, "body")), bytes)


def export(event_id: str, *, with_body: bool = True) -> Operation[bytes]:
    """Everything about an event, as a signed file: ``hookline events verify`` checks it."""
    asked = {} if with_body else {"body": "false"}
    return Operation(Call("GET", _path("events", event_id, "export"), asked), bytes)


def _path(*parts: str) -> str:
    return "".join("/" + quote(part, safe="") for part in parts)


def _replays(asked: Mapping[str, Any], *, repeatable: bool) -> Call:
    given = {name: value for name, value in asked.items() if value is not None}
    return Call("POST", "/replays", json=given, repeatable=repeatable)
