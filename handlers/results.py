"""What a handler or a step of it returns becomes JSON text, or a reason why it can't."""

import json
from typing import Any

from handlers.bounds import clip
from handlers.errors import RESULT_LIMIT, ResultNotJSON, ResultTooLarge
from handlers.failures import describe
from infra import strict_json

_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def encode_result(value: Any, *, what: str = "the result", limit: int = RESULT_LIMIT) -> str:
    """JSON that every reader understands alike: what `infra.strict_json` accepts.

    Args:
        what: as messages call it.
        limit: in bytes of UTF-8.

    Raises:
        ResultNotJSON: the value, or something in it, is no such JSON.
        ResultTooLarge: the text is longer than `limit`.

    >>> encode_result({"action_items": ["naïve"]})
    '{"action_items":["naïve"]}'
    >>> encode_result(float("nan"))
    Traceback (most recent call last):
        ...
    handlers.errors.ResultNotJSON: the result is not JSON: Out of range float values are not JSON compliant
    """
    try:
        text = _ENCODER.encode(value)
        data = text.encode()
        size = len(data)
        if size <= limit:
            strict_json.loads(data)  # finds what Python would write: equal keys from 1 and "1", any depth
    except Exception as error:
        raise ResultNotJSON(f"{what} is not JSON: {clip(describe(error).message, 500)}") from error
    if size > limit:
        raise ResultTooLarge(f"{what} has {size} bytes; the limit is {limit}")
    return text
