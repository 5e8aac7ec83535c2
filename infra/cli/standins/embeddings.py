"""A stand-in for OpenAI's ``POST /v1/embeddings``: vectors that are reckoned from the words, so that texts with words in common lie close.

Source: https://platform.openai.com/docs/api-reference/embeddings, and /docs/guides/error-codes.
"""

import base64
import hashlib
import math
import re
import struct
from collections.abc import Iterable
from enum import StrEnum
from typing import Any, Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

API_KEY: Final = "stand-in-key"
DIMENSIONS: Final = 64
_MOST_TEXTS: Final = 2_048
_WORD: Final = re.compile(r"\w+")


class Trouble(StrEnum):
    """What a request can be made to meet; the last is no error: numbers, though base64 was asked for."""

    BUSY = "busy"
    DOWN = "down"
    NUMBERS = "numbers"


class EmbeddingsStandIn:
    """The server, as an ASGI app.

    Args:
        troubles: what the first requests meet, in order; None, and every request after them, goes well.
    """

    def __init__(self, *, troubles: Iterable[Trouble | None] = ()) -> None:
        self.texts = 0
        self._troubles = iter(troubles)
        self.app = Starlette(routes=[Route("/v1/embeddings", self._embed, methods=["POST"])])

    async def _embed(self, request: Request) -> Response:
        if request.headers.get("authorization") != f"Bearer {API_KEY}":
            return _error(401, "invalid_api_key", "Incorrect API key provided")
        trouble = next(self._troubles, None)
        if trouble is Trouble.BUSY:
            return _error(429, "rate_limit_exceeded", "Rate limit reached", {"Retry-After": "3"})
        if trouble is Trouble.DOWN:
            return PlainTextResponse("<html>502 Bad Gateway</html>", 502)
        asked = await request.json()
        texts = [asked["input"]] if isinstance(asked["input"], str) else asked["input"]
        if not 0 < len(texts) <= _MOST_TEXTS or not all(texts):
            return _error(400, "invalid_request_error", "'$.input' is invalid")
        self.texts += len(texts)
        packed = asked.get("encoding_format") == "base64" and trouble is not Trouble.NUMBERS
        data = [
            {"object": "embedding", "index": index, "embedding": _packed(vector) if packed else vector}
            for index, vector in enumerate(map(vector_of, texts))
        ]
        words = sum(len(_WORD.findall(text)) for text in texts)
        usage = {"prompt_tokens": words, "total_tokens": words}
        return JSONResponse({"object": "list", "data": data, "model": asked["model"], "usage": usage})


def vector_of(text: str) -> list[float]:
    """Of length 1; each word pulls in a direction of its own.

    >>> vector_of("the launch") == vector_of("The Launch!")
    True
    """
    sums = [0.0] * DIMENSIONS
    for word in _WORD.findall(text.lower()):
        digest = hashlib.blake2b(word.encode(), digest_size=DIMENSIONS).digest()
        sums = [total + byte / 127.5 - 1 for total, byte in zip(sums, digest, strict=True)]
    length = math.sqrt(math.fsum(value * value for value in sums)) or 1.0
    return [value / length for value in sums]


def _packed(vector: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def _error(status: int, code: str, message: str, headers: dict[str, Any] | None = None) -> Response:
    return JSONResponse({"error": {"message": message, "type": code, "code": code}}, status, headers)
