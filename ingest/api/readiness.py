"""What ``/readyz`` asks before it says yes."""

from infra.ledger import Ledger
from infra.store import facts


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
        found = (
            []
            if self._in_memory
            else [f"Redis: {trouble}" for trouble in (await facts(self._ledger.redis)).troubles()]
        )
        if not await self._ledger.workers.manifests():
            found.append("no worker is alive: what is accepted waits")
        return found
