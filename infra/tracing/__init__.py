"""Traces: one from the webhook through queue and handler to the callback, where somebody collects them.

What has happened is told to a `Traces`, beside `infra.metrics`: `Untraced` by default, which records nothing and only hands a sender's
``traceparent`` on; or `infra.tracing.exported`, which sends spans to a collector by OpenTelemetry (the extra ``otel``).
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Final, Protocol

from infra.ledger.records import Arrival, Claim, Delivery, DueCallback, Outcome, Receipt
from infra.tracing.contexts import TRACEPARENT, read_traceparent

__all__ = ["UNTRACED", "AttemptSpan", "Traces", "Untraced"]


class AttemptSpan(Protocol):
    """One attempt while it runs."""

    def ended(self, outcome: Outcome) -> None:
        """What became of it."""


class Traces(Protocol):
    """What is told of what happens. Nothing here raises, waits, or asks Redis."""

    def received(self, arrivals: Sequence[Arrival], receipts: Sequence[Receipt], seconds: float) -> None:
        """These were recorded, so long after their request began."""

    def attempt(self, claim: Claim, handler: str) -> AbstractContextManager[AttemptSpan]:
        """Around an attempt: spans that begin inside stand under it."""

    def handed_on(self, claim: Claim) -> Mapping[str, str]:
        """The headers of an event that this attempt makes."""

    def sending(self, due: DueCallback) -> Mapping[str, str]:
        """The headers that a callback takes along."""

    def called(self, delivery: Delivery) -> None:
        """A callback was sent, or could not be."""

    def close(self) -> None:
        """Send what has come together, for some seconds at most."""


class _Unrecorded:
    def ended(self, outcome: Outcome) -> None:
        pass


_UNRECORDED: Final = nullcontext(_Unrecorded())


class Untraced:
    """Records nothing. A sender's ``traceparent`` goes through, as the standard wants it of those who take no part."""

    def received(self, arrivals: Sequence[Arrival], receipts: Sequence[Receipt], seconds: float) -> None:
        pass

    def attempt(self, claim: Claim, handler: str) -> AbstractContextManager[AttemptSpan]:  # noqa: ARG002
        return _UNRECORDED

    def handed_on(self, claim: Claim) -> Mapping[str, str]:
        return _through(claim.headers.get(TRACEPARENT))

    def sending(self, due: DueCallback) -> Mapping[str, str]:
        return _through(due.job.traceparent)

    def called(self, delivery: Delivery) -> None:
        pass

    def close(self) -> None:
        pass


UNTRACED: Final = Untraced()


def _through(sent: str | None) -> Mapping[str, str]:
    return {} if sent is None or read_traceparent(sent) is None else {TRACEPARENT: sent}
