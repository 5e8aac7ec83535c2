"""What stands in for the worker in a handler's tests: steps, jobs and waits, kept in memory."""

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from handlers.event import Event
from handlers.services import Awaited
from infra.bounds import short_id
from infra.clock import Clock
from infra.ids import EVENT, JOB, new_suffix
from infra.ledger.records import Claim
from infra.submission import Submission

Events = Mapping[tuple[str, str], Any]


class Rehearsal:
    """The `Services` of a test, for all attempts of one job.

    Args:
        clock: times the waits.
        events: payloads of what came before, by source and key.

    Attributes:
        enqueued: what was made, in order.
    """

    def __init__(self, clock: Clock, events: Events = MappingProxyType({})) -> None:
        self.enqueued: list[Submission] = []
        self._clock = clock
        self._kept: dict[str, str] = {}
        self._jobs: dict[str, str] = {}
        self._events: dict[tuple[str, str], Event] = {}
        for (source, key), payload in events.items():
            self.receive(source, key, payload)

    def receive(self, source: str, key: str, payload: Any) -> None:
        """An event comes."""
        self._events[source, short_id(key)] = Event(
            id=EVENT + new_suffix(),
            source=source,
            type="test",
            received_at=self._clock.now(),
            headers={},
            body=body_of(payload),
        )

    async def kept(self, claim: Claim) -> Mapping[str, str]:  # noqa: ARG002 - one job a rehearsal
        return self._kept

    async def keep(self, claim: Claim, name: str, text: str) -> None:  # noqa: ARG002 - one job a rehearsal
        self._kept[name] = text

    async def enqueue(self, claim: Claim, submission: Submission, key: str) -> str:  # noqa: ARG002 - one job a rehearsal
        if key not in self._jobs:
            self._jobs[key] = JOB + new_suffix()
            self.enqueued.append(submission)
        return self._jobs[key]

    async def look_for(self, claim: Claim, source: str, key: str, event_id: str | None) -> Awaited:  # noqa: ARG002
        return Awaited(event=self._events.get((source, key)), now=self._clock.now())


def body_of(payload: Any) -> bytes:
    """A payload as JSON, or as it is if it is bytes."""
    return payload if isinstance(payload, bytes) else json.dumps(payload).encode()
