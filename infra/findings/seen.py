"""What was read of the ledger, for the rules to judge."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from infra.ledger import Ledger
from infra.ledger.archiving import ArchiveStanding
from infra.ledger.overview import LiveWorker, Volume
from infra.ledger.pauses import Pause
from infra.ledger.reading import QueueCounts
from infra.ledger.records import HandlerEntry, ReceiverStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What was read of the ledger.

    Args:
        now: on Redis's clock.
        entries: what the live workers handle.
        waiting_since: by queue, when the job at its head was queued.
        ignored: source and type of what was accepted in the last day, and no worker had a handler for.
        quarantined: ids of the records that were put aside.
        corrupt: keys of the wrong kind that were moved away.
        dead_callbacks: how many callbacks were given up.
        paused_receivers: ids of those that get no callbacks.
        pauses: the queues and handlers that are paused.
        sealed_by_others: none of our secret keys has sealed any of the newest events.
        volume: how much is kept; None: not asked.
        archive: how archiving goes; None: there is no archive.
    """

    now: datetime
    workers: Sequence[LiveWorker] = ()
    entries: Sequence[HandlerEntry] = ()
    queues: Sequence[QueueCounts] = ()
    waiting_since: Mapping[str, datetime]
    ignored: Sequence[tuple[str, str]] = ()
    quarantined: Sequence[str] = ()
    corrupt: Sequence[str] = ()
    dead_callbacks: int = 0
    paused_receivers: Sequence[str] = ()
    pauses: Sequence[Pause] = ()
    sealed_by_others: bool = False
    volume: Volume | None = None
    archive: ArchiveStanding | None = None


async def observe(ledger: Ledger, *, retention: timedelta, thorough: bool) -> Seen:
    """Read what the rules need.

    Args:
        retention: how long finished jobs are kept.
        thorough: look at the name of every key too, which takes a while where there are millions.

    Raises:
        LedgerError: Redis does not answer.
    """
    overview = ledger.overview
    queues = await overview.queues()
    heads = {queue.name: await overview.waiting_since(queue.name) for queue in queues}
    manifests = await ledger.workers.manifests()
    return Seen(
        now=await overview.now(),
        workers=await overview.workers(),
        entries=[entry for manifest in manifests.values() for entry in manifest],
        queues=queues,
        waiting_since={name: since for name, since in heads.items() if since is not None},
        ignored=await overview.ignored(within=timedelta(days=1)),
        quarantined=sorted(await overview.quarantined()),
        corrupt=await overview.corrupt() if thorough else (),
        dead_callbacks=await overview.dead_callbacks(),
        paused_receivers=[one.id for one in await ledger.receivers.newest(status=ReceiverStatus.PAUSED)],
        pauses=await ledger.pauses.all(),
        sealed_by_others=await overview.sealed_by_others(),
        volume=await overview.volume(retention=retention),
        archive=await ledger.archiving.standing(),
    )
