"""What a receiver does with a callback that is right, and with some that are not: the probes, and a grade for it.

A grade is the worst that any probe earns. Whoever takes what nobody signed can be told anything by anybody; whoever refuses a
repetition is sent it again and again; the rest is a matter of time.
"""

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import httpx

from infra.clock import Clock, rfc3339
from infra.ids import CALLBACK, EVENT, JOB, new_suffix
from infra.signatures import standard_webhooks_headers
from worker.callbacks.payload import Message
from worker.callbacks.post import exchange
from worker.callbacks.schedule import Answered, Outcome, Refused

DRIP: Final = timedelta(seconds=3)
PROMPT: Final = timedelta(seconds=5)
"""A third of what an attempt may take: slower receivers will be cut off one day."""

_STALE: Final = timedelta(hours=1)
_FOREIGN_SECRET: Final = "whsec_" + "Zm9y" * 8
_LESSER: Final = "C"  # two faults of that kind weigh more than one


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of one probe.

    Args:
        answer: the receiver's status, or why there was none.
        grade: what the receiver earns by it; ``A`` where it did right.
    """

    probe: str
    answer: str
    duration: timedelta
    grade: str
    words: str


@dataclass(frozen=True, slots=True)
class _Probe:
    """One callback to send, and what its answer means.

    Args:
        rightful: whether it must be taken.
        failed: the grade of a receiver that does otherwise.
    """

    name: str
    rightful: bool
    failed: str
    good: str
    bad: str


_GOOD = _Probe(
    "good", True, "F", "takes a signed callback", "refuses a signed callback: is it the same secret?"
)
_PROBES: Final = (
    _GOOD,
    _Probe("repeated", True, "C", "takes the same webhook-id again", "refuses a repetition: it would be repeated for a day"),
    _Probe("unsigned", False, "F", "refuses what nobody signed", "accepts unsigned: anybody can tell it anything"),
    _Probe("forged", False, "F", "refuses another secret's signature", "accepts a forged signature"),
    _Probe("changed", False, "F", "refuses a body that was changed", "accepts a changed body: it does not verify the raw bytes"),
    _Probe("stale", False, "C", "refuses an old timestamp", "accepts what was signed an hour ago: it can be replayed"),
    _Probe("slow", True, "B", "waits for a body that comes slowly", "gives up on a body that comes slowly"),
)  # fmt: skip


class Check:
    """Sends the probes, one after the other.

    Args:
        transport: makes a guarded one; each probe has its own, so that none suffers from what another did to a connection.
        secret: the ``whsec_…`` that the receiver verifies with.
        timeout: of one probe, in all.
    """

    def __init__(
        self,
        transport: Callable[[], httpx.AsyncBaseTransport],
        *,
        secret: str,
        clock: Clock,
        timeout: timedelta,
    ) -> None:
        self._transport = transport
        self._secret = secret
        self._clock = clock
        self._timeout = timeout

    async def run(self, url: str) -> list[Verdict]:
        """What came of each probe. Where the good one is not taken, nothing can be said of the others, and none is sent."""
        first_id = _message_id()
        verdicts: list[Verdict] = []
        for probe in _PROBES:
            repeated = probe.name in ("good", "repeated")
            outcome, took = await self._send(url, probe, first_id if repeated else _message_id())
            verdicts.append(_verdict(probe, outcome, took))
            if probe is _GOOD and verdicts[0].grade == probe.failed:
                break
        return verdicts

    async def _send(self, url: str, probe: _Probe, message_id: str) -> tuple[Outcome, timedelta]:
        now = self._clock.now()
        message = _sample(rfc3339(now))
        signed = Message(message.body + b" ") if probe.name == "changed" else message
        headers = standard_webhooks_headers(
            [_FOREIGN_SECRET if probe.name == "forged" else self._secret],
            message_id=message_id,
            timestamp=now - _STALE if probe.name == "stale" else now,
            body=signed.body,
        )
        stopwatch = asyncio.get_running_loop().time
        begun = stopwatch()
        async with self._transport() as transport:
            outcome, _ = await exchange(
                transport,
                url,
                message,
                {} if probe.name == "unsigned" else headers,
                within=self._timeout,
                drip=DRIP if probe.name == "slow" else None,
            )
        return outcome, timedelta(seconds=stopwatch() - begun)


def grade(verdicts: Sequence[Verdict]) -> str:
    """The grade of a receiver, from A to F.

    >>> def earned(*grades: str) -> list[Verdict]:
    ...     return [Verdict("", "", timedelta(0), grade, "") for grade in grades]
    >>> [grade(earned(*grades)) for grades in ("AAA", "ABA", "ACB", "CCA", "AFC")]
    ['A', 'B', 'C', 'D', 'F']
    """
    earned = [verdict.grade for verdict in verdicts]
    worst = max(earned)
    return "D" if worst == _LESSER and earned.count(_LESSER) > 1 else worst


def _verdict(probe: _Probe, outcome: Outcome, took: timedelta) -> Verdict:
    if not isinstance(outcome, Answered):
        if probe.rightful:
            words = "may not be called" if isinstance(outcome, Refused) else "does not answer"
            return Verdict(probe.name, str(outcome), took, probe.failed, words)
        return Verdict(probe.name, str(outcome), took, "B", f"{probe.good}, without an answer")
    answer = str(outcome.status)
    if outcome.delivered is not probe.rightful:
        return Verdict(probe.name, answer, took, probe.failed, probe.bad)
    if took > PROMPT:
        return Verdict(
            probe.name, answer, took, "B", f"{probe.good}, but needs {took.total_seconds():.1f} s to answer"
        )
    return Verdict(probe.name, answer, took, "A", probe.good)


def _message_id() -> str:
    return CALLBACK + new_suffix()


def _sample(now: str) -> Message:
    """An outcome as a receiver gets them, of a job that never was."""
    suffix = new_suffix()
    data = {
        "job_id": JOB + suffix, "event_id": EVENT + suffix, "source": "check", "event_type": "hookline.check",
        "handler": None, "status": "finished", "result": {"check": True}, "error": None, "attempts": 1, "metadata": {},
        "created_at": now, "started_at": now, "ended_at": now, "status_url": None,
    }  # fmt: skip
    content = {"type": "job.finished", "timestamp": now, "data": data}
    return Message(json.dumps(content, separators=(",", ":")).encode())
