"""Checks of receivers that operators ask for: one at a time for each, beside everything else, and its grade is kept.

What sends the probes is the worker's (`worker.callbacks.check`); who puts the process together hands it in.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from infra.ledger import Grades, LedgerError
from infra.ledger.grades import Probe
from infra.tasks import end

log = logging.getLogger(__name__)

CheckReceiver = Callable[[str, str], Awaitable[tuple[str, Sequence[Probe]]]]
"""The grade of a receiver and what each probe came to; of its URL and the ``whsec_…`` that it verifies with."""


class ReceiverChecks:
    """Runs them.

    Args:
        check: None: this process sends nothing.
    """

    def __init__(self, grades: Grades, check: CheckReceiver | None) -> None:
        self._grades = grades
        self._check = check
        self._running: set[asyncio.Task[None]] = set()

    def __bool__(self) -> bool:
        return self._check is not None

    async def begin(self, url: str, *, secret: str) -> bool:
        """Have a receiver checked.

        Returns:
            False where a check of it runs already.

        Raises:
            LedgerError: it can't be told; none was begun.
        """
        if self._check is None or not await self._grades.begin(url):
            return False
        task = asyncio.create_task(self._run(self._check, url, secret))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return True

    async def stop(self) -> None:
        """Give up what is under way."""
        await end(*self._running)

    async def _run(self, check: CheckReceiver, url: str, secret: str) -> None:
        try:
            grade, probes = await check(url, secret)
            await self._grades.note(url, grade, probes)
        except LedgerError as error:
            log.warning("a receiver's grade was not kept: %s", error)
        except Exception:
            log.exception("a receiver could not be checked")  # by a fault of ours: nobody waits for this task
