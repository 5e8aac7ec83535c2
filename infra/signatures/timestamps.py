"""A signed moment: read strictly, and compared with the clock.

Whole seconds have 1 to 12 ASCII digits, milliseconds 1 to 15: ``nan``, ``+5``, ``1e9`` and digits of other scripts are
refused before they reach `int`. An ISO 8601 moment has date, time and zone (RFC 3339), with up to nine places of a
second, which don't count.
"""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from infra.clock import rfc3339
from infra.signatures.errors import SchemeError, SignatureMalformed, TimestampOutOfTolerance
from infra.signatures.parameters import one_of

_ISO = re.compile(
    rb"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})"
)
_NUMBERS = {"s": (1, re.compile(rb"[0-9]{1,12}")), "ms": (1000, re.compile(rb"[0-9]{1,15}"))}
UNITS = (*_NUMBERS, "iso")


@dataclass(frozen=True, kw_only=True)
class Freshness:
    """How a moment is written, and how far it may lie from now.

    Args:
        unit: ``s``, ``ms`` or ``iso``.
        past: how old it may be, the limit included.
        future: how far ahead it may be; as `past` when None.
        place: where it stands, for the log.

    Raises:
        SchemeError: no such unit, or a limit out of its range.

    >>> from datetime import UTC
    >>> Freshness(unit="iso", place="x").check(b"2025-10-09T08:53:20Z", datetime(2025, 10, 9, 8, 55, tzinfo=UTC))
    """

    unit: str = "s"
    past: timedelta = timedelta(minutes=5)
    future: timedelta | None = None
    place: str

    def __post_init__(self) -> None:
        one_of("timestamp_unit", self.unit, UNITS)
        if self.past <= timedelta(0):
            raise SchemeError("tolerance", "must be more than 0s")
        if self.future is not None and self.future < timedelta(0):
            raise SchemeError("tolerance_future", "must not be less than 0s")

    @cached_property
    def _limits(self) -> tuple[float, float]:
        ahead = self.past if self.future is None else self.future
        return self.past.total_seconds(), ahead.total_seconds()

    def check(self, sent: bytes, now: datetime | None) -> None:
        """Return if that moment is well-formed and near enough to now; None leaves its age unchecked.

        Raises:
            SignatureMalformed: it is not written in the unit.
            TimestampOutOfTolerance: too old, or too far ahead.
        """
        moment = self._seconds(sent)
        if now is None:
            return
        age = now.timestamp() - moment
        oldest, furthest = self._limits
        if not -furthest <= age <= oldest:
            fault = "too old" if age > 0 else "too far ahead"
            raise TimestampOutOfTolerance(
                f"the timestamp is {fault}", place=self.place, age_seconds=round(age)
            )

    def write(self, now: datetime) -> str:
        """A moment in the unit."""
        if self.unit == "iso":
            return rfc3339(now)
        return str(int(now.timestamp() * _NUMBERS[self.unit][0]))

    def _seconds(self, sent: bytes) -> float:
        if self.unit == "iso":
            if not _ISO.fullmatch(sent):
                raise SignatureMalformed("the timestamp isn't a date with a zone", place=self.place)
            try:
                return int(datetime.fromisoformat(sent.decode("ascii")).timestamp())
            except (ValueError, OverflowError):
                raise SignatureMalformed("the timestamp names no day", place=self.place) from None
        per_second, shape = _NUMBERS[self.unit]
        if not shape.fullmatch(sent):
            raise SignatureMalformed("the timestamp isn't a whole number in digits", place=self.place)
        return int(sent) / per_second
