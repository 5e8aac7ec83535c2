"""The grades of receivers: what the last check of each came to, for all who look."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
from redis.asyncio import Redis

from infra.durations import milliseconds
from infra.ledger import keys
from infra.ledger.parsing import moment, text
from infra.ledger.reading import Reading
from infra.ledger.receivers import receiver_id, receiver_url
from infra.ledger.scripts import Scripts
from infra.ledger.seal import Seal
from infra.ledger.wire import dumps

CHECK_LASTS: Final = timedelta(minutes=3)
"""After so long a check that has begun is taken for lost."""

_FIELDS: Final = ("grade", "graded", "probes", "checking")
_LONGEST: Final = 300  # characters of what one probe came to


class Probe(msgspec.Struct, frozen=True, array_like=True):
    """One callback that was sent to see what a receiver does with it.

    Args:
        answer: its status, or why there was none.
        grade: what it earned by that, ``A`` to ``F``.
    """

    name: str
    answer: str
    grade: str
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Grade:
    """What is known of a receiver's checks.

    Args:
        grade: the last, ``A`` to ``F``; empty: none yet.
        checking_since: one runs now.
    """

    grade: str = ""
    graded_at: datetime | None = None
    probes: tuple[Probe, ...] = ()
    checking_since: datetime | None = None


class Grades(Reading):
    """Everything here raises `LedgerError` as `Reading` does; it may be repeated."""

    def __init__(self, redis: Redis, seal: Seal, scripts: Scripts) -> None:
        super().__init__(redis, seal)
        self._scripts = scripts

    async def begin(self, url: str) -> bool:
        """A check of the receiver begins.

        Returns:
            False where one runs already.
        """
        return bool(await self._run(url, "", ""))

    async def note(self, url: str, grade: str, probes: Sequence[Probe]) -> None:
        """What a check came to."""
        told = [tuple(str(part)[:_LONGEST] for part in msgspec.structs.astuple(probe)) for probe in probes]
        await self._run(url, grade[:1], dumps(told))

    async def of(self, receivers: Sequence[str]) -> list[Grade]:
        """What is known of those with these ids."""
        now = await self.now()
        kept = await self._fetch([("HMGET", keys.RECEIVER + one, *_FIELDS) for one in receivers])
        return [_grade(one, now) for one in kept]

    async def _run(self, url: str, grade: str, probes: str) -> Any:
        return await self._scripts.run(
            "grade", receiver_id(url), receiver_url(url), milliseconds(CHECK_LASTS), grade, probes
        )


def _grade(kept: Any, now: datetime) -> Grade:
    grade, graded, probes, checking = kept or (None,) * len(_FIELDS)
    since = moment(checking)
    try:
        told = msgspec.json.decode(probes or b"[]", type=tuple[Probe, ...])
    except (msgspec.DecodeError, UnicodeDecodeError):
        told = ()
    return Grade(
        grade=text(grade)[:1],
        graded_at=moment(graded),
        probes=told,
        checking_since=since if since is not None and now - since < CHECK_LASTS else None,
    )
