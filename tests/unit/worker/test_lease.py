"""The lease: kept, lost, and kept trying for."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

from infra.ledger import LedgerError
from worker.lease import Lease


class Renewals:
    """A ledger that answers a renewal as it is told to, over and over the last."""

    def __init__(self, *answers: bool | LedgerError) -> None:
        self._answers = list(answers)
        self.count = 0

    async def renew(self, worker: str, **_: Any) -> bool:
        answer = self._answers[min(self.count, len(self._answers) - 1)]
        self.count += 1
        if isinstance(answer, LedgerError):
            raise answer
        return answer

    def lease(self) -> Lease:
        @asynccontextmanager
        async def opened() -> AsyncIterator[Any]:
            yield SimpleNamespace(workers=self)

        return Lease(
            opened, worker="w", length=timedelta(milliseconds=30), queues=(), manifest=(), record=dict[str, str]
        )  # fmt: skip


def test_whoever_lost_the_lease_is_told_each_time() -> None:
    renewals, lost = Renewals(True, False, True, False, True), threading.Semaphore(0)
    lease = renewals.lease()
    lease.start_thread(lost=lost.release)
    assert lost.acquire(timeout=5)
    assert lost.acquire(timeout=5)
    lease.stop()
    assert not lost.acquire(blocking=False)


def test_a_lease_that_redis_does_not_confirm_is_asked_for_again() -> None:
    renewals = Renewals(LedgerError("away"), LedgerError("away"), True)

    async def main() -> None:
        task = asyncio.create_task(renewals.lease().run(lost=lambda: None))
        async with asyncio.timeout(5):
            while renewals.count < 4:
                await asyncio.sleep(0.005)
        task.cancel()

    asyncio.run(main())
