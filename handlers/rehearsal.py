"""What stands in for the worker in a handler's tests: steps, jobs and waits, kept in memory."""

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import Any

from handlers.event import Event
from handlers.failures import describe
from handlers.services import Awaited, JobState
from infra.bounds import short_id
from infra.clock import Clock, rfc3339
from infra.files import Artifact, FileMissing
from infra.ids import EVENT, JOB, new_suffix
from infra.ledger.records import Claim
from infra.submission import Submission

Events = Mapping[tuple[str, str], Any]


class Rehearsal:
    """The `Services` of a test, for all attempts of one job.

    Args:
        clock: times the waits.
        events: payloads of what came before, by source and key.

        files: content of what payloads name, by id or URL.
        earlier: the jobs that earlier jobs made, by the id of that job.

    Attributes:
        enqueued: what was made, in order.
        artifacts: what was kept, by name.
    """

    def __init__(
        self,
        clock: Clock,
        events: Events = MappingProxyType({}),
        files: Mapping[str, bytes] = MappingProxyType({}),
        earlier: Mapping[str, Sequence[JobState]] = MappingProxyType({}),
    ) -> None:
        self.enqueued: list[Submission] = []
        self.artifacts: dict[str, bytes] = {}
        self._files = files
        self._states: dict[str, JobState] = {}
        self._open: list[str] = []
        self._children: dict[str, list[str]] = {}
        for parent, states in earlier.items():
            self._children[parent] = [state.id for state in states]
            self._states |= {state.id: state for state in states}
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
            self._open.append(self._jobs[key])
        return self._jobs[key]

    async def look_for(self, claim: Claim, source: str, key: str, event_id: str | None) -> Awaited:  # noqa: ARG002
        return Awaited(event=self._events.get((source, key)), now=self._clock.now())

    async def states(self, claim: Claim, job_ids: Sequence[str]) -> list[JobState]:  # noqa: ARG002 - one job a rehearsal
        return [self._states.get(job_id, JobState(id=job_id, status="queued")) for job_id in job_ids]

    async def children(self, claim: Claim, job_id: str) -> list[str]:  # noqa: ARG002 - one job a rehearsal
        return self._children.get(job_id, [])

    async def recent(self, claim: Claim, type_: str, tag: str | None, limit: int) -> list[JobState]:  # noqa: ARG002
        return [state for state in reversed(self._states.values()) if state.type == type_][:limit]

    def end_jobs(self, results: Sequence[Any]) -> None:
        """The jobs that were made and have not ended end, in order: with a result, or with the error that stands in its place."""
        for result in results:
            job_id = self._open.pop(0)
            failed = isinstance(result, Exception)
            self._states[job_id] = JobState(
                id=job_id,
                status="failed" if failed else "finished",
                result=None if failed else result,
                error=describe(result) if failed else None,
            )

    async def store(self, claim: Claim, name: str, content_type: str, path: Path) -> Artifact:
        content = path.read_bytes()  # noqa: ASYNC240 - a test's
        self.artifacts[name] = content
        return Artifact(
            name=name,
            url=f"/artifacts/{claim.job_id}/{name}",
            size=len(content),
            sha256=sha256(content).hexdigest(),
            content_type=content_type,
            expires_at=rfc3339(self._clock.now()),
        )

    async def load(self, claim: Claim, reference: str, path: Path) -> None:  # noqa: ARG002 - one job a rehearsal
        if reference not in self._files:
            raise FileMissing("there is no such file, or no longer")
        path.write_bytes(self._files[reference])  # noqa: ASYNC240 - a test's


def body_of(payload: Any) -> bytes:
    """A payload as JSON, or as it is if it is bytes."""
    return payload if isinstance(payload, bytes) else json.dumps(payload).encode()
