"""Numbers over time as one SVG path each: bars in a box of `WIDE` by `HIGH`, as small as a picture gets."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from infra.ledger.measures import Pulse

WIDE: Final = 600
HIGH: Final = 60

_NAMES: Final = {"received": "Received", "finished": "Finished", "failed": "Failed attempts", "open": "Waiting or running"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Chart:
    """One kind of number over time.

    Args:
        kind: a field of `Pulse`.
        total: their sum; of what is counted at a moment, the last.
        path: what SVG draws.
    """

    kind: str
    name: str
    total: int
    peak: int
    path: str


def charts(pulses: Sequence[Pulse]) -> list[Chart]:
    """One chart for each kind of number."""
    return [_chart(kind, name, pulses) for kind, name in _NAMES.items()]


def _chart(kind: str, name: str, pulses: Sequence[Pulse]) -> Chart:
    numbers = _carried(pulses) if kind == "open" else [int(getattr(pulse, kind)) for pulse in pulses]
    total = numbers[-1] if kind == "open" else sum(numbers)
    return Chart(kind, name, total, max(numbers), bars(numbers))


def _carried(pulses: Sequence[Pulse]) -> list[int]:
    """Where nobody looked, nothing had happened: it is as it was."""
    found, last = [], 0
    for pulse in pulses:
        last = last if pulse.open is None else pulse.open
        found.append(last)
    return found


def bars(numbers: Sequence[int]) -> str:
    """The bars, side by side, the highest as high as the box; whatever is not nought can be seen.

    >>> bars([0, 1, 2])
    'M200 60V30h160V60zM400 60V0h160V60z'
    """
    peak, step = max(numbers), WIDE / len(numbers)
    drawn = []
    for place, number in enumerate(numbers):
        if number:
            top = min(HIGH - 2, round(HIGH - HIGH * number / peak))
            drawn.append(f"M{place * step:.4g} {HIGH}V{top}h{step * 0.8:.3g}V{HIGH}z")
    return "".join(drawn)
