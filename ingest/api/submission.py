"""What ``POST /jobs`` takes: one entry or a batch, each fault told with its place."""

from datetime import datetime
from typing import Any, Final

from infra import strict_json
from infra.egress import EgressPolicy, URLRefused, check_url
from infra.submission import Submission, SubmissionError, read_submission
from ingest.problems import BODY_MALFORMED, CALLBACK_URL_REFUSED, INVALID, Problem

MOST_IN_A_BATCH: Final = 100


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
        submission = read_submission(sent, now=now)
    except SubmissionError as error:
        raise Problem(INVALID, f"{error.words} - at `{place}{error.path}`") from None
    if submission.callback_url is not None:
        try:
            check_url(submission.callback_url, policy)
        except URLRefused as refused:
            raise Problem(CALLBACK_URL_REFUSED, f"{refused.reason} - at `{place}.callback_url`") from None
    return submission
