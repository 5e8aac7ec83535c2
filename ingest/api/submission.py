"""What ``POST /jobs`` takes: one entry or a batch, each fault told with its place."""

from datetime import datetime
from typing import Any, Final

from infra import strict_json
from infra.egress import EgressPolicy, URLRefused, check_url
from infra.submission import Submission, SubmissionError, read_submission
from ingest.problems import BODY_MALFORMED, CALLBACK_URL_REFUSED, INVALID, Problem

MOST_IN_A_BATCH: Final = 100


def read_submissions(
    body: bytes, *, policy: EgressPolicy, now: datetime, key: str | None = None
) -> tuple[list[Submission], bool]:
    """The entries of a request, and whether it was a batch.

    Args:
        key: the request's own, for entries without an `idempotency_key`; those of a batch get their places behind it.

    Raises:
        Problem: 400 where the body is not JSON; 422 with the first fault and its place.
    """
    try:
        sent = strict_json.loads(body)
    except strict_json.StrictJSONError as error:
        raise Problem(BODY_MALFORMED, str(error) if body else "There is none.") from None
    if not isinstance(sent, list):
        return [_read(_keyed(sent, key), "$", policy, now)], False
    if not 1 <= len(sent) <= MOST_IN_A_BATCH:
        raise Problem(INVALID, f"A batch has 1 to {MOST_IN_A_BATCH} jobs.")
    if key is not None:
        sent = [_keyed(one, f"{key}/{place}") for place, one in enumerate(sent)]
    return [_read(one, f"$[{place}]", policy, now) for place, one in enumerate(sent)], True


def _keyed(sent: Any, key: str | None) -> Any:
    if key is None or not isinstance(sent, dict) or sent.get("idempotency_key") is not None:
        return sent
    return sent | {"idempotency_key": key}


def _read(sent: Any, place: str, policy: EgressPolicy, now: datetime) -> Submission:
    try:
        submission = read_submission(sent, now=now)
    except SubmissionError as error:
        raise Problem(INVALID, f"{error.words} - at `{place}{error.path}`") from None
    if submission.callback_url is not None:
        try:
            check_url(submission.callback_url, policy)
        except URLRefused as refused:
            raise Problem(CALLBACK_URL_REFUSED, f"{refused.reason} - at `{place}.callback_url`") from None
    return submission
