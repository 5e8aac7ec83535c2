"""What new events go through where there are several shards."""

from collections.abc import Sequence

from infra.routes import Routes
from ingest.parts import Intake, Parts
from ingest.receipts import Receipts
from ingest.shards.homes import Homes
from ingest.shards.spread import Spread
from ingest.shards.together import AllBatches, AllJobs, AllWorkers


def intake_of(each: Sequence[Parts]) -> tuple[Intake, Homes]:
    """The intake of all shards, and how records are found again.

    Args:
        each: the parts of each shard, by its number.
    """
    first = each[0]
    homes = Homes([parts.ledger.reading for parts in each])
    routes = Routes(AllWorkers([parts.ledger.workers for parts in each]))
    intake = Intake(
        recorder=Spread(
            [parts.recorder for parts in each],
            first.sources,
            readings=[parts.ledger.reading for parts in each],
            before=first.settings.shards_before,
        ),
        routes=routes,
        receipts=Receipts(AllJobs(homes, [parts.watch for parts in each]), routes, first.links),
        batches=AllBatches(homes, [parts.ledger.batches for parts in each]),
    )
    return intake, homes
