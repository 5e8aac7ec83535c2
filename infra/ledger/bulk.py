"""Bulk replays as they stand: plain values, no Redis."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

import msgspec

from infra.ledger.parsing import moment, text, whole

LANE: Final = "low"


def lane_of(queues: Sequence[str]) -> str:
    """The queue that bulk replays go to: `LANE`, or the last one that is served where that is not.

    >>> lane_of(["high", "default", "low"]), lane_of(["urgent", "rest"])
    ('low', 'rest')
    """
    return LANE if LANE in queues else queues[-1]


class ReplayStatus(StrEnum):
    """Where a bulk replay stands."""

    RUNNING = "running"
    FINISHED = "finished"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How a bulk replay runs.

    Args:
        queue: where its jobs go.
        rate: jobs a second.
        share: it stops when more than this share of those that have ended failed, once `least` of them have ended.
    """

    queue: str = LANE
    rate: int = 50
    share: float = 0.2
    least: int = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkReplay:
    """A bulk replay as it stands.

    Args:
        filter: what it was made from, as asked for.
        total: jobs of its plan; `complete`: no others were found.
        begun: those that it has had run again; `skipped`: those that it did not, for they had moved on.
        succeeded, failed, canceled, ignored: how those that it began have ended.
    """

    id: str
    status: ReplayStatus
    reason: str | None
    by: str
    filter: Mapping[str, Any]
    terms: Terms
    total: int
    complete: bool
    begun: int
    skipped: int
    succeeded: int
    failed: int
    canceled: int
    ignored: int
    created_at: datetime | None
    ended_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayPage:
    """The next jobs of a bulk replay, leased to one worker."""

    id: str
    token: str
    by: str
    queue: str
    rate: int
    jobs: tuple[str, ...]


def bulk_replay(replay_id: str, kept: Mapping[bytes, bytes]) -> BulkReplay:
    """What its record tells; what can't be read is as usual."""

    def number(name: bytes) -> int:
        return whole(kept.get(name))

    usual = Terms()
    return BulkReplay(
        id=replay_id,
        status=_status(text(kept.get(b"status"))),
        reason=text(kept.get(b"reason")) or None,
        by=text(kept.get(b"by")),
        filter=_filter(kept.get(b"filter")),
        terms=Terms(
            queue=text(kept.get(b"queue")) or usual.queue,
            rate=whole(kept.get(b"rate"), usual.rate),
            share=_share(text(kept.get(b"share")), usual.share),
            least=whole(kept.get(b"least"), usual.least),
        ),
        total=number(b"total"),
        complete=kept.get(b"complete") == b"1",
        begun=number(b"begun"),
        skipped=number(b"skipped"),
        succeeded=number(b"succeeded"),
        failed=number(b"failed"),
        canceled=number(b"canceled"),
        ignored=number(b"ignored"),
        created_at=moment(kept.get(b"created")),
        ended_at=moment(kept.get(b"ended")),
    )


def _status(kept: str) -> ReplayStatus:
    """What can't be read does not run."""
    return ReplayStatus(kept) if kept in set(ReplayStatus) else ReplayStatus.STOPPED


def _filter(kept: bytes | None) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(kept or b"{}")
    except msgspec.DecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def _share(kept: str, default: float) -> float:
    try:
        found = float(kept)
    except ValueError:
        return default
    return found if 0 <= found <= 1 else default
