"""What ``POST /jobs`` takes: entries read and checked, each fault told with its place."""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from infra import strict_json
from infra.durations import parse_duration
from infra.egress import EgressPolicy, URLRefused, check_url
from ingest.arrivals import LONGEST_NAME, MOST_METADATA, fits
from ingest.problems import BODY_MALFORMED, CALLBACK_URL_REFUSED, INVALID, Problem

MOST_IN_A_BATCH: Final = 100
_FARTHEST: Final = timedelta(days=365)
_QUEUE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}", re.ASCII)


class Submission(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """One entry. A number in `run_in` is seconds; text is a duration such as ``15m``."""

    type: str
    payload: Any = None
    queue: str | None = None
    callback_url: str | None = None
    run_in: str | float | None = None
    run_at: datetime | None = None
    idempotency_key: str | None = None
    tag: str | None = None
    metadata: dict[str, Any] = {}

    @property
    def body(self) -> bytes:
        """The payload as the event's body."""
        return json.dumps(self.payload, separators=(",", ":"), ensure_ascii=False).encode()

    def due(self, now: datetime) -> datetime | None:
        """When the job may run first; None is at once. For an entry that was checked."""
        due = now + _delay(self.run_in) if self.run_in is not None else self.run_at
        return None if due is None or due <= now else due.astimezone(UTC)


def read_submissions(body: bytes, *, policy: EgressPolicy, now: datetime) -> tuple[list[Submission], bool]:
    """The entries of a request, and whether it was a batch.

    Raises:
        Problem: 400 where the body is not JSON; 422 with the first fault and its place.
    """
    try:
        sent = strict_json.loads(body)
    except strict_json.StrictJSONError as error:
        raise Problem(BODY_MALFORMED, str(error) if body else "There is none.") from None
    if not isinstance(sent, list):
        return [_read(sent, "$", policy, now)], False
    if not 1 <= len(sent) <= MOST_IN_A_BATCH:
        raise Problem(INVALID, f"A batch has 1 to {MOST_IN_A_BATCH} jobs.")
    return [_read(one, f"$[{place}]", policy, now) for place, one in enumerate(sent)], True


def _read(sent: Any, place: str, policy: EgressPolicy, now: datetime) -> Submission:
    try:
        submission = msgspec.convert(sent, Submission)
    except msgspec.ValidationError as error:
        words, _, path = str(error).partition(" - at `$")
        raise _fault(words, place + path.removesuffix("`")) from None
    for name in ("type", "idempotency_key", "tag"):
        text = getattr(submission, name)
        if text is not None and not (0 < len(text) <= LONGEST_NAME and text.isprintable()):
            raise _fault(f"Needs 1 to {LONGEST_NAME} printable characters", f"{place}.{name}")
    if submission.queue is not None and not _QUEUE.fullmatch(submission.queue):
        raise _fault("Needs at most 63 letters, digits, - and _", f"{place}.queue")
    if not fits(submission.metadata):
        raise _fault(f"Takes at most {MOST_METADATA} bytes", f"{place}.metadata")
    _check_time(submission, place, now)
    if submission.callback_url is not None:
        try:
            check_url(submission.callback_url, policy)
        except URLRefused as refused:
            raise Problem(CALLBACK_URL_REFUSED, f"{refused.reason} - at `{place}.callback_url`") from None
    return submission


def _check_time(submission: Submission, place: str, now: datetime) -> None:
    if submission.run_in is not None and submission.run_at is not None:
        raise _fault("Give run_in or run_at, not both", place)
    if submission.run_at is not None and submission.run_at.tzinfo is None:
        raise _fault("Needs an offset from UTC, such as Z", f"{place}.run_at")
    try:
        wait = _delay(submission.run_in) if submission.run_in is not None else timedelta(0)
    except (ValueError, OverflowError):
        raise _fault("Needs seconds, or a duration such as 15m", f"{place}.run_in") from None
    if wait < timedelta(0):
        raise _fault("Can't lie in the past", f"{place}.run_in")
    if wait > _FARTHEST or (submission.run_at is not None and submission.run_at - now > _FARTHEST):
        raise _fault("At most a year ahead", place)


def _delay(value: str | float) -> timedelta:
    return parse_duration(value) if isinstance(value, str) else timedelta(seconds=value)


def _fault(words: str, place: str) -> Problem:
    return Problem(INVALID, f"{words} - at `{place}`")
