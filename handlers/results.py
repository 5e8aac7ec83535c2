"""What a handler returns becomes JSON text, or a reason why it can't."""

import json
from typing import Any

from handlers.bounds import clip
from handlers.errors import RESULT_LIMIT, ResultNotJSON, ResultTooLarge
from handlers.failures import describe
from infra import strict_json


def encode_result(value: Any) -> str:
    """JSON that every reader understands alike: what `infra.strict_json` accepts.

    Raises:
        ResultNotJSON: the value, or something in it, is no such JSON.
        ResultTooLarge: the text has more than `RESULT_LIMIT` bytes of UTF-8.

    >>> encode_result({"action_items": ["naïve"]})
    '{"action_items":["naïve"]}'
    >>> encode_result(float("nan"))
    Traceback (most recent call last):
        ...
    handlers.errors.ResultNotJSON: the result is not JSON: Out of range float values are not JSON compliant
    """
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        data = text.encode()
        size = len(data)
        if size <= RESULT_LIMIT:
            strict_json.loads(data)  # finds what Python would write: equal keys from 1 and "1", any depth
    except Exception as error:
        raise ResultNotJSON(f"the result is not JSON: {clip(describe(error).message, 500)}") from error
    if size > RESULT_LIMIT:
        raise ResultTooLarge(f"the result has {size} bytes; the limit is {RESULT_LIMIT}")
    return text
