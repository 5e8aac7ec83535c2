"""All that is known of one event: the jobs made of it, in each of their rounds, what they kept, and who did what to them."""

from dataclasses import dataclass
from typing import Final

from infra.ledger import keys
from infra.ledger.parsing import act_of, text
from infra.ledger.reading import Reading
from infra.ledger.records import Act, EventRecord, JobRecord

MOST_ROUNDS: Final = 100  # of all jobs of one event, the newest

_STEP: Final = "step:"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobHistory:
    """One job of an event.

    Args:
        rounds: the job at the end of each of its rounds, and last as it stands.
        acts: what was done to it by hand, the oldest first.
        steps: the names of the steps that its attempts kept.
    """

    rounds: tuple[JobRecord, ...]
    acts: tuple[Act, ...]
    steps: tuple[str, ...]


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
        jobs = []
        for place, job in enumerate(present):
            acts, kept = replies[2 * place : 2 * place + 2]
            names = sorted(text(name) for name in kept or [])
            jobs.append(
                JobHistory(
                    rounds=(*(one for one in ended if one is not None and one.id == job.id), job),
                    acts=tuple(act_of(line) for line in acts or []),
                    steps=tuple(name.removeprefix(_STEP) for name in names if name.startswith(_STEP)),
                )
            )
        return History(event=event, jobs=tuple(jobs))
