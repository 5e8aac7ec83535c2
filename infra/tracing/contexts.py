"""Where a span stands in its trace, as W3C Trace Context writes it (https://www.w3.org/TR/trace-context/).

Nothing of a trace is kept in Redis. A sender's ``traceparent`` stands among its event's headers; an event that came without one has a
trace whose id follows from its own. So every process finds the same trace, and the same first span, by what it knows anyway.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

TRACEPARENT: Final = "traceparent"

_FIELD: Final = re.compile(r"(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})", re.ASCII)
_LENGTH: Final = 55
_SAMPLED: Final = 1


@dataclass(frozen=True, slots=True)
class TraceContext:
    """One span, as another one names its parent.

    Args:
        trace_id: 32 hexadecimal digits; `span_id` 16.
        sampled: whether whoever began the trace records it.

    >>> str(TraceContext("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", sampled=True))
    '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
    """

    trace_id: str
    span_id: str
    sampled: bool

    def __str__(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-{self.sampled:02x}"


def read_traceparent(field: str | None) -> TraceContext | None:
    """What a ``traceparent`` header says, or None where it says nothing that can be read.

    >>> read_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00").sampled
    False
    >>> read_traceparent("00-00000000000000000000000000000000-b7ad6b7169203331-01") is None
    True
    """
    if field is None or not field.isascii():  # it may go out again as a header
        return None
    found = _FIELD.match(field)
    if found is None or not (len(field) == _LENGTH or (field[_LENGTH] == "-" and not field.startswith("00"))):
        return None
    trace_id, span_id, flags = found.groups()
    if not (trace_id.strip("0") and span_id.strip("0")):
        return None
    return TraceContext(trace_id, span_id, sampled=bool(int(flags, 16) & _SAMPLED))


def span_of(*names: str) -> str:
    """The id of the span that these names tell from all others: always the same one.

    >>> span_of("evt_1") == span_of("evt_1") != span_of("evt_1", "2")
    True
    """
    return sha256("\0".join(names).encode()).hexdigest()[:16]


def first_span(event_id: str, sent: str | None, sample: Callable[[str], bool]) -> TraceContext:
    """The span of an event's arrival, under which all that follows from it stands.

    Args:
        sent: the ``traceparent`` that it came with.
        sample: whether to record a trace that begins here, by its id.
    """
    sender = read_traceparent(sent)
    if sender is not None:
        return TraceContext(sender.trace_id, span_of(event_id), sender.sampled)
    trace_id = sha256(event_id.encode()).hexdigest()[32:]
    return TraceContext(trace_id, span_of(event_id), sample(trace_id))
