"""Settlements as the scripts ``finish``, ``retry`` and ``wait`` take them: plain functions, no Redis."""

from collections.abc import Sequence
from datetime import UTC, timedelta
from typing import Final

from infra.clock import unix_milliseconds
from infra.durations import milliseconds
from infra.ledger.records import (
    Claim,
    ErrorInfo,
    Failed,
    Finished,
    Ignored,
    JobStatus,
    Released,
    Retried,
    Settlement,
    Waiting,
)
from infra.ledger.scripts import BATCH, Argument, Call
from infra.ledger.wire import change, error_json, rq_result, rq_trace, seen_key

_LARGE: Final = 4 << 20  # bytes of results and traces that one script takes


def settling(
    worker: str, settlements: Sequence[Settlement], *, keep: timedelta, keep_dead: timedelta
) -> list[Call]:
    """The calls that settle some jobs.

    Args:
        keep: how long finished and ignored jobs are kept; `keep_dead`: failed ones.
    """
    finishing: list[list[str]] = []
    retrying: list[list[str]] = []
    waiting: list[list[str]] = []
    for settlement in settlements:
        outcome = settlement.outcome
        if isinstance(outcome, Finished | Failed | Ignored):
            finishing.append(_finish_arguments(settlement, outcome))
        elif isinstance(outcome, Waiting):
            waiting.append(_wait_arguments(settlement.claim, outcome))
        else:
            retrying.append(_retry_arguments(settlement, outcome))
    retentions: list[Argument] = [whole_seconds(keep), whole_seconds(keep_dead)]
    return (
        batches("finish", [worker, *retentions], finishing)
        + batches("retry", [worker], retrying)
        + batches("wait", [worker], waiting)
    )


def whole_seconds(duration: timedelta) -> int:
    """A duration as RQ counts it."""
    return round(duration.total_seconds())


def batches(script: str, common: list[Argument], items: Sequence[list[str]]) -> list[Call]:
    """Calls of a script for some items: at most `BATCH` each, and not too large."""
    calls: list[Call] = []
    arguments: list[Argument] = []
    room, places = 0, 0
    for item in items:
        if room <= 0 or places <= 0:
            arguments = [*common]
            calls.append((script, arguments))
            room, places = _LARGE, BATCH
        arguments.extend(item)
        room -= sum(map(len, item))
        places -= 1
    return calls


def _finish_arguments(settlement: Settlement, outcome: Finished | Failed | Ignored) -> list[str]:
    claim = settlement.claim
    status = {Finished: JobStatus.FINISHED, Failed: JobStatus.FAILED, Ignored: JobStatus.IGNORED}[
        type(outcome)
    ]
    error = outcome.error if isinstance(outcome, Failed) else None
    return [
        claim.job_id,
        claim.token,
        status,
        rq_result(outcome.result) if isinstance(outcome, Finished) else "",
        "" if error is None else _trace_of(error),
        "" if error is None else error_json(error),
        _started(claim),
        settlement.handler,
        str(settlement.max_attempts or ""),
        claim.callback or "",
        _change(claim, status, claim.queue),
    ]


def _retry_arguments(settlement: Settlement, outcome: Retried | Released) -> list[str]:
    claim = settlement.claim
    error = outcome.error if isinstance(outcome, Retried) else None
    queue = outcome.queue if isinstance(outcome, Released) else None
    return [
        claim.job_id,
        claim.token,
        "released" if error is None else "retried",
        str(milliseconds(outcome.delay)),
        "1" if isinstance(outcome, Retried) and outcome.counted else "0",
        queue or "",
        "" if error is None else _trace_of(error),
        "" if error is None else error_json(error),
        _started(claim),
        settlement.handler,
        _change(
            claim,
            JobStatus.SCHEDULED if milliseconds(outcome.delay) > 0 else JobStatus.QUEUED,
            queue or claim.queue,
        ),
    ]


def _wait_arguments(claim: Claim, outcome: Waiting) -> list[str]:
    return [
        claim.job_id,
        claim.token,
        seen_key(outcome.source, outcome.key),
        str(unix_milliseconds(outcome.until)),
        _change(claim, JobStatus.SCHEDULED, claim.queue),
    ]


def _trace_of(error: ErrorInfo) -> str:
    return rq_trace(error.trace or f"{error.type}: {error.message}")


def _change(claim: Claim, status: JobStatus, queue: str) -> str:
    return change(job_id=claim.job_id, event_id=claim.event_id, status=status, queue=queue,
                  source=claim.source, type=claim.type, tag=claim.tag)  # fmt: skip


def _started(claim: Claim) -> str:
    return f"{claim.claimed_at.astimezone(UTC).timestamp():.3f}"
