"""All that is known of one event: the jobs made of it, in each of their rounds, what they kept, and who did what to them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from infra.ledger import keys
from infra.ledger.parsing import act_of, text
from infra.ledger.reading import Reading
from infra.ledger.records import Act, EventRecord, JobRecord

MOST_ROUNDS: Final = 100  # of all jobs of one event, the newest

_STEP: Final = "step:"
_KEPT: Final = "kept:"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
# A round, an attempt, and microseconds since 1970: steps have an order.
_KEEPING: Final = re.compile(rb"([0-9]{1,9}) ([0-9]{1,9}) ([0-9]{1,16})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping:
    """Which attempt kept a step, and when."""

    round: int
    attempt: int
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class JobHistory:
    """One job of an event.

    Args:
        rounds: the job at the end of each of its rounds, and last as it stands.
        acts: what was done to it by hand, the oldest first.
        steps: the names of the steps that its attempts kept.
        kept: of each of these by whom, where that was noted.
    """

    rounds: tuple[JobRecord, ...]
    acts: tuple[Act, ...]
    steps: tuple[str, ...]
    kept: Mapping[str, Keeping] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """An event and its jobs, the oldest first."""

    event: EventRecord
    jobs: tuple[JobHistory, ...]


class Histories(Reading):
    """Histories. Everything here raises `LedgerError` where Redis does not answer."""

    async def history(self, event_id: str, *, whole: bool = False) -> History | None:
        """All of one event, or None where there is none whose seal holds.

        Args:
            whole: with all of its jobs and their rounds, however many there are.
        """
        event = await self.event(event_id)
        if event is None:
            return None
        newest = slice(None) if whole else slice(-MOST_ROUNDS, None)
        present = [job for job in await self.jobs_of(event.jobs[newest], positions=True) if job is not None]
        past = [(job.id, number) for job in present for number in range(1, job.round)][newest]
        ended = await self.jobs_of([job_id for job_id, _ in past], rounds=[number for _, number in past])
        commands = [
            command
            for job in present
            for command in (
                ("LRANGE", keys.ACTS + job.id, "0", "-1"),
                ("HKEYS", keys.STEPS + job.id),
            )
        ]
        replies = await self._fetch(commands)
        steps = [_steps(names or []) for names in replies[1::2]]
        kept = await self._kept([job.id for job in present], steps)
        jobs = [
            JobHistory(
                rounds=(*(one for one in ended if one is not None and one.id == job.id), job),
                acts=tuple(act_of(line) for line in replies[2 * place] or []),
                steps=steps[place],
                kept=kept[place],
            )
            for place, job in enumerate(present)
        ]
        return History(event=event, jobs=tuple(jobs))

    async def _kept(
        self, job_ids: Sequence[str], steps: Sequence[tuple[str, ...]]
    ) -> list[dict[str, Keeping]]:
        """Who kept the steps of each job, by their names."""
        found: list[dict[str, Keeping]] = [{} for _ in job_ids]
        asked = [place for place, names in enumerate(steps) if names]
        commands = [
            ("HMGET", keys.STEPS + job_ids[place], *(_KEPT + name for name in steps[place]))
            for place in asked
        ]
        for place, notes in zip(asked, await self._fetch(commands), strict=True):
            for name, note in zip(steps[place], notes or (), strict=False):
                if (keeping := _keeping(note)) is not None:
                    found[place][name] = keeping
        return found


def _steps(names: Sequence[bytes]) -> tuple[str, ...]:
    told = sorted(map(text, names))
    return tuple(name.removeprefix(_STEP) for name in told if name.startswith(_STEP))


def _keeping(note: bytes | None) -> Keeping | None:
    """What `step.lua` noted; None where it is another's word, or was kept before it noted anything."""
    told = _KEEPING.fullmatch(note or b"")
    if told is None:
        return None
    return Keeping(round=int(told[1]), attempt=int(told[2]), at=_EPOCH + timedelta(microseconds=int(told[3])))
