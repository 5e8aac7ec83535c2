"""What ``/readyz`` asks before it says yes: the rules of `infra.findings` that are errors."""

from typing import Protocol

from infra.findings import NO_WORKER, Severity, of_server
from infra.ledger import Ledger, LedgerError
from infra.store import facts


class Ready(Protocol):
    """What says whether a web process may promise anything: one ledger's `Readiness`, or those of several."""

    async def reasons(self) -> list[str]:
        """Why not; empty when ready."""


class Readiness:
    """Looks at Redis and at the workers.

    Args:
        in_memory: Redis lives in this process on purpose; there is nothing to ask it.
    """

    def __init__(self, ledger: Ledger, *, in_memory: bool) -> None:
        self._ledger = ledger
        self._in_memory = in_memory

    async def reasons(self) -> list[str]:
        """Why not; empty when ready.

        Raises:
            LedgerError: Redis does not answer.
        """
        found = [] if self._in_memory else of_server(await facts(self._ledger.redis))
        reasons = [finding.text for finding in found if finding.severity is Severity.ERROR]
        try:
            if not await self._ledger.workers.manifests():
                reasons.append(NO_WORKER.text)
        except LedgerError:
            if not reasons:
                raise
        return reasons
