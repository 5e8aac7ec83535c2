"""The outbox: callbacks that are due, and what became of each POST."""

import logging
from collections.abc import Sequence
from datetime import timedelta

from infra.durations import milliseconds
from infra.ledger.reading import Reading
from infra.ledger.records import CallbackAttempt, CallbackStatus, Delivery, DueCallback
from infra.ledger.scripts import Argument, Scripts
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

        Returns:
            The callbacks, and how long until the next one falls due, if any waits.
        """
        wait, *items = await self._scripts.run("due", sender, sequence, most, milliseconds(hold))
        taken = []
        for item in items:
            callback_id, job_id, event_id, token, attempts = (part.decode() for part in item)
            job = await self._reading.job_of(job_id, event_id)
            if job is None or job.callback is None:
                await self._give_up(callback_id, token, job_id, int(attempts) + 1)
                continue
            taken.append(
                DueCallback(id=callback_id, token=token, attempts=int(attempts), url=job.callback.url, job=job)
            )
        return taken, None if wait < 0 else timedelta(milliseconds=int(wait))

    async def record(self, deliveries: Sequence[Delivery]) -> None:
        """Keep what became of some POSTs.

        Raises:
            LedgerError: not confirmed; to be repeated as it is.
        """
        arguments: list[Argument] = [ATTEMPTS_KEPT]
        for delivery in deliveries:
            due = delivery.callback
            arguments += [
                due.id,
                due.token,
                delivery.status,
                0 if delivery.retry_after is None else milliseconds(delivery.retry_after),
                delivery.reason or "",
                callback_attempt_json(delivery.attempt),
                _change(due.job.id, due.id, delivery.status),
            ]
        await self._scripts.run("deliver", *arguments)

    async def _give_up(self, callback_id: str, token: str, job_id: str, number: int) -> None:
        reason = "the job's record is missing or was changed"
        log.error("a callback is blocked: %s", reason, extra={"callback": callback_id})
        now = await self._reading.now()
        attempt = CallbackAttempt(number=number, at=now, duration=timedelta(0), error=reason)
        await self._scripts.run(
            "deliver", ATTEMPTS_KEPT, callback_id, token, CallbackStatus.BLOCKED, 0, reason,
            callback_attempt_json(attempt), _change(job_id, callback_id, CallbackStatus.BLOCKED),
        )  # fmt: skip


def _change(job_id: str, callback_id: str, status: CallbackStatus) -> str:
    return dumps({"job_id": job_id, "callback": {"id": callback_id, "status": status}})
