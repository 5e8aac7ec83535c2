"""Workers: their leases, their manifests, and how RQ's tools see them."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import NamedTuple

from infra.durations import milliseconds
from infra.ledger.parsing import manifest_of, text
from infra.ledger.records import HandlerEntry
from infra.ledger.scripts import Argument, Scripts
from infra.ledger.wire import manifest_json


class Told(NamedTuple):
    """What workers have told of themselves.

    Args:
        live: by worker.
        remembered: what was handled in the last minutes in which any worker lived; for while none does.
    """

    live: dict[str, tuple[HandlerEntry, ...]]
    remembered: tuple[HandlerEntry, ...]


class Workers:
    """The scripts that keep workers alive in the eyes of others, as calls."""

    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts

    async def renew(
        self,
        worker: str,
        *,
        lease: timedelta,
        queues: Sequence[str],
        manifest: Sequence[HandlerEntry],
        record: Mapping[str, str],
    ) -> bool:
        """Register the worker, or keep it registered, for another lease.

        Args:
            record: RQ's fields of a worker: ``hostname``, ``pid``, ``queues``, ``version`` and so on.

        Returns:
            False, once, where the lease had run out and was given away: whatever the worker was running, others run it now.
        """
        pairs = [part for pair in record.items() for part in pair]
        shown = max(60, round(lease.total_seconds() * 2))
        arguments: list[Argument] = [
            worker,
            milliseconds(lease),
            shown,
            manifest_json(manifest),
            len(queues),
            *queues,
            *pairs,
        ]
        return bool(await self._scripts.run("renew", *arguments) == b"kept")

    async def depart(self, worker: str, *, queues: Sequence[str]) -> int:
        """Take the worker off the books. Returns how many jobs it left for others to take over."""
        return int(await self._scripts.run("depart", worker, *queues))

    async def manifests(self) -> dict[str, tuple[HandlerEntry, ...]]:
        """What each live worker handles."""
        return (await self.told()).live

    async def told(self) -> Told:
        """What workers handle: those that live, and those of the last minutes in which any lived."""
        remembered, *pairs = await self._scripts.run("manifests")
        live = {
            text(worker): manifest_of(manifest)
            for worker, manifest in zip(pairs[::2], pairs[1::2], strict=True)
        }
        return Told(live, manifest_of(b"[" + b",".join(remembered) + b"]"))
