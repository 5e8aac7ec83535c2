"""The outbox: callbacks that are due, and what became of each POST."""

import logging
from collections.abc import Sequence
from datetime import timedelta
from http import HTTPStatus
from typing import Any, Final, NamedTuple

from infra.durations import milliseconds
from infra.ledger.kept import Kept
from infra.ledger.parsing import text, whole
from infra.ledger.receivers import Receivers, receiver_id, receiver_url
from infra.ledger.records import CallbackAttempt, CallbackStatus, Delivery, DueCallback, JobRecord
from infra.ledger.scripts import BATCH, Argument, Scripts
from infra.ledger.seal import Seal
from infra.ledger.wire import callback_attempt_json

log = logging.getLogger(__name__)

ATTEMPTS_KEPT = 20
LONGEST_ERROR = 200  # characters of what a receiver's record says went wrong last

_TELLING: Final = {int(HTTPStatus.GONE): "gone", int(HTTPStatus.TOO_MANY_REQUESTS): "throttled"}
_LATELY: Final = timedelta(seconds=2)
_UNSOUND: Final = "the job's record is missing or was changed"


class Neighbours(NamedTuple):
    """Who else sends, and what they have met.

    Args:
        workers: how many live, this one with them.
        throttled: the hosts that have answered 429 to one of them in the last seconds.
    """

    workers: int
    throttled: frozenset[str]


class Callbacks:
    """The scripts that move callbacks, as calls."""

    def __init__(self, scripts: Scripts, seal: Seal, receivers: Receivers) -> None:
        self._scripts = scripts
        self._seal = seal
        self._receivers = receivers

    def dedicated(self) -> "Callbacks":
        """The same over a connection of its own, one call at a time; to be closed."""
        return Callbacks(self._scripts.dedicated(), self._seal, self._receivers)

    async def aclose(self) -> None:
        """Close the connection, if it is its own."""
        await self._scripts.aclose()

    async def due(
        self, sender: str, *, sequence: int, most: int, hold: timedelta
    ) -> tuple[list[DueCallback], timedelta | None]:
        """Take callbacks whose time has come; if the sender dies, they fall due again after `hold`.

        What would go to a receiver that is paused becomes a dead letter instead.

        Args:
            sequence: counts the calls of this sender, so that each has a token of its own.
            most: at most `BATCH` are taken.

        Returns:
            The callbacks, and how long until the next one falls due, if any waits.

        Raises:
            LedgerError: not confirmed; what was taken falls due again.
        """
        wait, any_paused, *items = await self._scripts.run(
            "due", sender, sequence, min(most, BATCH), milliseconds(hold)
        )
        taken: list[DueCallback] = []
        unsound: list[list[Argument]] = []
        for item in items:
            due = self._due(item)
            if due is None:
                log.error("a callback is blocked: %s", _UNSOUND, extra={"callback": text(item[0])})
                unsound.append(await self._unsound(item))
            else:
                taken.append(due)
        await self._deliver(unsound)
        if any_paused:
            taken = await self._without_paused(taken)
        return taken, None if wait < 0 else timedelta(milliseconds=wait)

    async def record(self, deliveries: Sequence[Delivery]) -> list[str]:
        """Keep what became of some POSTs. Where another sender holds the callback by now, nothing is changed.

        Returns:
            The receivers that are paused for it, by their URLs: they said 410, or have taken nothing for days.

        Raises:
            LedgerError: not confirmed; to be repeated as it is.
        """
        verdicts = await self._deliver([
            [
                delivery.callback.id,
                delivery.callback.token,
                delivery.status,
                0 if delivery.retry_after is None else milliseconds(delivery.retry_after),
                delivery.reason or "",
                callback_attempt_json(delivery.attempt),
                receiver_id(delivery.callback.url),
                receiver_url(delivery.callback.url),
                _did(delivery),
                (delivery.attempt.error or "")[:LONGEST_ERROR],
            ]
            for delivery in deliveries
        ])  # fmt: skip
        return [
            receiver_url(delivery.callback.url)
            for delivery, verdict in zip(deliveries, verdicts, strict=True)
            if verdict == b"paused"
        ]

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

    async def redeliver(
        self,
        jobs: Sequence[JobRecord],
        *,
        after: timedelta = timedelta(0),
        every: timedelta = timedelta(0),
        by: str = "",
    ) -> list[bool]:
        """Make the callbacks of some jobs again under their old ids; the schedule starts anew.

        Args:
            jobs: as `Reading` gives them, which looks at their seals; each has a callback.
            after: when the first falls due; each further one `every` later.
            by: who wants it, for the jobs' timelines; empty: nobody to be named.

        Returns:
            For each whether its callback is pending now. It is not where its round has not ended.

        Raises:
            LedgerError: not confirmed; to be repeated.
        """
        items: list[Argument] = []
        for place, job in enumerate(jobs):
            items += ["" if job.callback is None else job.callback.id, milliseconds(after + place * every)]
        verdicts: list[bytes] = []
        for first in range(0, len(items), 2 * BATCH):
            verdicts += await self._scripts.run("redeliver", by, *items[first : first + 2 * BATCH])
        return [verdict == b"pending" for verdict in verdicts]

    async def neighbours(self) -> Neighbours:
        """How it stands with the other workers.

        Raises:
            LedgerError: not confirmed.
        """
        workers, *hosts = await self._scripts.run("neighbours", milliseconds(_LATELY))
        return Neighbours(workers, frozenset(map(text, hosts)))

    def _due(self, item: Sequence[Any]) -> DueCallback | None:
        """What is to be told, or None where the seal does not hold."""
        callback_id, job_id, event_id, token = map(text, item[:4])
        head, birth, told, newest = item[6:]
        _, _, number = callback_id.partition("-")
        kept = Kept(
            self._seal,
            job_id,
            event_id,
            told,
            (head, birth),
            [newest] if newest else [],
            [],
            round=int(number or 1),
        )
        job = kept.record(None, None, {}, None)
        if job is None or job.callback is None or kept.story is None:
            return None
        return DueCallback(
            id=callback_id,
            token=token,
            attempts=whole(item[4]),
            earlier=whole(item[5]),
            url=job.callback.url,
            options=kept.story.callback_options,
            job=job,
        )

    async def _without_paused(self, taken: Sequence[DueCallback]) -> list[DueCallback]:
        """Those whose receiver is called. The others are dead letters, and no attempt is counted."""
        paused = await self._receivers.paused({due.url for due in taken})
        withheld: list[list[Argument]] = [
            [due.id, due.token, CallbackStatus.PENDING, 0, "", "", receiver_id(due.url), receiver_url(due.url), "", ""]
            for due in taken
            if due.url in paused
        ]  # fmt: skip
        await self._deliver(withheld)
        return [due for due in taken if due.url not in paused]

    async def _unsound(self, item: Sequence[Any]) -> list[Argument]:
        attempt = CallbackAttempt(
            number=whole(item[4]) + 1, at=await self._receivers.now(), duration=timedelta(0), error=_UNSOUND
        )
        return [
            item[0], item[3], CallbackStatus.BLOCKED, 0, _UNSOUND, callback_attempt_json(attempt), "", "", "", "",
        ]  # fmt: skip

    async def _deliver(self, items: Sequence[list[Argument]]) -> list[bytes]:
        verdicts: list[bytes] = []
        for first in range(0, len(items), BATCH):
            arguments = [argument for item in items[first : first + BATCH] for argument in item]
            verdicts += await self._scripts.run("deliver", ATTEMPTS_KEPT, *arguments)
        return verdicts


def _did(delivery: Delivery) -> str:
    """What the receiver did, as ``deliver.lua`` counts it."""
    if delivery.status is CallbackStatus.DELIVERED:
        return "taken"
    if not delivery.sent or delivery.status is CallbackStatus.BLOCKED:
        return ""
    return _TELLING.get(delivery.attempt.status or 0, "failed")
