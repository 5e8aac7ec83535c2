"""An exception becomes an `ErrorInfo`, whatever the exception is up to."""

import traceback

from handlers.bounds import clip, clip_front
from infra.ledger.records import ErrorInfo

MESSAGE_LIMIT = 2 << 10
TRACE_LIMIT = 16 << 10


def describe(error: BaseException) -> ErrorInfo:
    """What went wrong, within bounds; an exception that can't say what it means does no harm.

    >>> describe(ValueError("no total")).public()
    {'type': 'ValueError', 'message': 'no total'}
    """
    return ErrorInfo(
        type=clip(type(error).__name__, 200),
        message=clip(_message(error), MESSAGE_LIMIT),
        trace=clip_front(_trace(error), TRACE_LIMIT),
    )


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except BaseException:  # noqa: BLE001 - whatever an author's __str__ does
        return "(its text can't be shown)"


def _trace(error: BaseException) -> str:
    try:
        return "".join(traceback.format_exception(error))
    except BaseException:  # noqa: BLE001 - exceptions can carry anything
        return "(its traceback can't be shown)"
