"""Jobs that this worker has no handler for: to whom they go."""

from datetime import timedelta
from itertools import chain

from infra.ledger import Ledger, LedgerError
from infra.ledger.records import Claim, Ignored, Released
from infra.routes import entry_for

_WAIT_FOR_ANOTHER = timedelta(seconds=1)


class Routing:
    """Looks at what the other live workers handle."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def elsewhere(self, claim: Claim) -> Ignored | Released:
        """The job goes to the queue of a worker that handles it; if no live worker does, it is ignored."""
        try:
            manifests = await self._ledger.workers.manifests()
        except LedgerError:
            return Released(delay=_WAIT_FOR_ANOTHER)
        entry = entry_for(chain.from_iterable(manifests.values()), claim.source, claim.type)
        if entry is None:
            return Ignored()
        queue = entry.queue or claim.queue
        # In the same queue we would take it again at once: the wait leaves it to the other worker.
        return Released(queue=queue, delay=_WAIT_FOR_ANOTHER if queue == claim.queue else timedelta(0))
