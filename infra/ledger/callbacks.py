"""The outbox: callbacks that are due, and what became of each POST."""

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

from infra.durations import milliseconds
from infra.ledger.parsing import text, whole
from infra.ledger.reading import Reading
from infra.ledger.records import CallbackAttempt, CallbackStatus, Delivery, DueCallback, JobRecord
from infra.ledger.scripts import BATCH, Argument, Scripts
from infra.ledger.wire import callback_attempt_json, dumps

log = logging.getLogger(__name__)

ATTEMPTS_KEPT = 20


class Callbacks:
    """The scripts that move callbacks, as calls."""

    def __init__(self, scripts: Scripts, reading: Reading) -> None:
        self._scripts = scripts
        self._reading = reading

    async def due(
        self, sender: str, *, sequence: int, most: int, hold: timedelta
    ) -> tuple[list[DueCallback], timedelta | None]:
        """Take callbacks whose time has come; if the sender dies, they fall due again after `hold`.

        Args:
            sequence: counts the calls of this sender, so that each has a token of its own.
            most: at most `BATCH` are taken.

        Returns:
            The callbacks, and how long until the next one falls due, if any waits.

        Raises:
            LedgerError: not confirmed; what was taken falls due again.
        """
        wait, *items = await self._scripts.run("due", sender, sequence, min(most, BATCH), milliseconds(hold))
        jobs = await self._reading.jobs_of([(text(item[1]), text(item[2])) for item in items])
        taken: list[DueCallback] = []
        unsound: list[list[Argument]] = []
        for item, job in zip(items, jobs, strict=True):
            callback_id, token = text(item[0]), text(item[3])
            attempts, earlier = whole(item[4]), whole(item[5])
            if job is None or job.callback is None:
                log.error("a callback is blocked: %s", _UNSOUND, extra={"callback": callback_id})
                unsound.append(
                    _unsound(callback_id, token, text(item[1]), attempts + 1, await self._reading.now())
                )
            else:
                taken.append(
                    DueCallback(id=callback_id, token=token, attempts=attempts, earlier=earlier,
                                url=job.callback.url, job=job)
                )  # fmt: skip
        await self._deliver(unsound)
        return taken, None if wait < 0 else timedelta(milliseconds=wait)

    async def record(self, deliveries: Sequence[Delivery]) -> None:
        """Keep what became of some POSTs. Where another sender holds the callback by now, nothing is changed.

        Raises:
            LedgerError: not confirmed; to be repeated as it is.
        """
        await self._deliver([
            [
                delivery.callback.id,
                delivery.callback.token,
                delivery.status,
                0 if delivery.retry_after is None else milliseconds(delivery.retry_after),
                delivery.reason or "",
                callback_attempt_json(delivery.attempt),
                _change(delivery.callback.job.id, delivery.callback.id, delivery.status),
            ]
            for delivery in deliveries
        ])  # fmt: skip

    async def postpone(self, callbacks: Sequence[DueCallback], wait: timedelta) -> None:
        """Give back what was taken and not sent: each falls due again after a wait, and no attempt is counted.

        Raises:
            LedgerError: not confirmed; what is not given back falls due when its hold ends.
        """
        for first in range(0, len(callbacks), BATCH):
            arguments: list[Argument] = []
            for callback in callbacks[first : first + BATCH]:
                arguments += [callback.id, callback.token, milliseconds(wait)]
            await self._scripts.run("postpone", *arguments)

    async def redeliver(self, jobs: Sequence[JobRecord]) -> list[bool]:
        """Make the callbacks of some jobs again, at once, under their old ids; the schedule starts anew.

        Args:
            jobs: as `Reading` gives them, which looks at their seals; each has a callback.

        Returns:
            For each whether its callback is pending now. It is not where the job has not ended, or has begun another round.

        Raises:
            LedgerError: not confirmed; to be repeated.
        """
        verdicts: list[bytes] = []
        for first in range(0, len(jobs), BATCH):
            arguments: list[Argument] = []
            for job in jobs[first : first + BATCH]:
                callback_id = "" if job.callback is None else job.callback.id
                arguments += [callback_id, _change(job.id, callback_id, CallbackStatus.PENDING)]
            verdicts += await self._scripts.run("redeliver", *arguments)
        return [verdict == b"pending" for verdict in verdicts]

    async def _deliver(self, items: Sequence[list[Argument]]) -> None:
        for first in range(0, len(items), BATCH):
            arguments = [argument for item in items[first : first + BATCH] for argument in item]
            await self._scripts.run("deliver", ATTEMPTS_KEPT, *arguments)


_UNSOUND = "the job's record is missing or was changed"


def _unsound(callback_id: str, token: str, job_id: str, number: int, now: datetime) -> list[Argument]:
    attempt = CallbackAttempt(number=number, at=now, duration=timedelta(0), error=_UNSOUND)
    return [
        callback_id, token, CallbackStatus.BLOCKED, 0, _UNSOUND, callback_attempt_json(attempt),
        _change(job_id, callback_id, CallbackStatus.BLOCKED),
    ]  # fmt: skip


def _change(job_id: str, callback_id: str, status: CallbackStatus) -> str:
    return dumps({"job_id": job_id, "callback": {"id": callback_id, "status": status}})
