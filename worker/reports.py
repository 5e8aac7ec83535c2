"""What running handlers say, on its way to the ledger: progress and log lines, gathered, written a few times a second."""

import json
import threading
from dataclasses import dataclass, field

from infra.clock import Clock, rfc3339
from infra.ledger.jobs import Report
from infra.ledger.records import Claim, Progress


@dataclass(slots=True)
class _Said:
    claim: Claim
    progress: Progress | None = None
    lines: list[str] = field(default_factory=list)


class Reports:
    """The `Effects` of a worker. Safe from any thread; a job that is not open is not heard."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._open: dict[str, _Said] = {}

    def open(self, claim: Claim) -> None:
        """Listen to a job from here on."""
        with self._lock:
            self._open[claim.job_id] = _Said(claim)

    def close(self, claim: Claim) -> Report | None:
        """Stop listening. Returns what was not yet taken."""
        with self._lock:
            said = self._open.pop(claim.job_id, None)
        return None if said is None else _report(said)

    def progress(self, job_id: str, progress: Progress) -> None:
        """How far a handler is; the last word before a write counts."""
        with self._lock:
            if said := self._open.get(job_id):
                said.progress = progress

    def log(self, job_id: str, level: str, message: str) -> None:
        """A line of a handler's own log."""
        line = json.dumps({"at": rfc3339(self._clock.now()), "level": level, "message": message})
        with self._lock:
            if said := self._open.get(job_id):
                said.lines.append(line)

    def take(self) -> list[Report]:
        """Everything said since the last call."""
        with self._lock:
            reports = [report for said in self._open.values() if (report := _report(said)) is not None]
            for said in self._open.values():
                said.progress, said.lines = None, []
        return reports


def _report(said: _Said) -> Report | None:
    if said.progress is None and not said.lines:
        return None
    return Report(said.claim, said.progress, tuple(said.lines))
