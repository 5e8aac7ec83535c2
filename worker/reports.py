"""What running handlers say, on its way to the ledger: progress and log lines, gathered, written a few times a second."""

import asyncio
import json
import threading
from dataclasses import dataclass, field

from infra.clock import Clock, rfc3339
from infra.ledger.jobs import Report
from infra.ledger.records import Claim, Progress
from worker.callbacks.progress import ProgressCallbacks


@dataclass(slots=True)
class _Said:
    progress: Progress | None = None
    lines: list[str] = field(default_factory=list)


class Reports:
    """The `Effects` of a worker. Safe from any thread, but for `take` and `close`; a job that is not open is not heard.

    Args:
        callbacks: who tells callers of progress; None: nobody.

    Attributes:
        on_the_way: held from `take` until Redis has what was taken, and for `close`: a job's end must not overtake what it said.
    """

    def __init__(self, clock: Clock, callbacks: ProgressCallbacks | None = None) -> None:
        self._clock = clock
        self._callbacks = callbacks
        self.on_the_way = asyncio.Lock()
        self._lock = threading.Lock()
        self._open: dict[str, Claim] = {}
        self._said: dict[str, _Said] = {}

    def open(self, claim: Claim) -> None:
        """Listen to a job from here on."""
        with self._lock:
            self._open[claim.job_id] = claim

    def close(self, claim: Claim) -> Report | None:
        """Stop listening. Returns what was not yet taken."""
        with self._lock:
            held = self._open.get(claim.job_id)
            if held is None or held.token != claim.token:  # the job has come back to this worker meanwhile
                return None
            del self._open[claim.job_id]
            said = self._said.pop(claim.job_id, None)
        if self._callbacks is not None:
            self._callbacks.end(claim)
        return None if said is None else _report(claim, said)

    def progress(self, job_id: str, progress: Progress) -> None:
        """How far a handler is; the last word before a write counts."""
        with self._lock:
            if job_id in self._open:
                self._said.setdefault(job_id, _Said()).progress = progress

    def log(self, job_id: str, level: str, message: str) -> None:
        """A line of a handler's own log."""
        at = rfc3339(self._clock.now())
        with self._lock:
            claim = self._open.get(job_id)
            if claim is not None:
                line = json.dumps({"at": at, "attempt": claim.attempt, "level": level, "message": message})
                self._said.setdefault(job_id, _Said()).lines.append(line)

    def take(self) -> list[Report]:
        """Everything said since the last call."""
        with self._lock:
            said, self._said = self._said, {}
            reports = [_report(self._open[job_id], words) for job_id, words in said.items()]
        if self._callbacks is not None:
            for report in reports:
                if report.progress is not None:
                    self._callbacks.tell(report.claim, report.progress)
        return reports


def _report(claim: Claim, said: _Said) -> Report:
    return Report(claim, said.progress, tuple(said.lines))
