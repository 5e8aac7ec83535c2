"""Vectors for texts, from whatever speaks OpenAI's ``POST /v1/embeddings``.

Source: https://platform.openai.com/docs/api-reference/embeddings.
"""

import base64
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from handlers.outside import ServiceBusy, post

AT_ONCE: Final = 32  # texts in one request


@dataclass(frozen=True, slots=True, kw_only=True)
class Embeddings:
    """A model behind an address.

    Args:
        url: up to and without ``/v1``.
    """

    url: str
    key: str | None = field(repr=False)
    model: str

    async def vectors(self, http: httpx.AsyncClient, texts: Sequence[str]) -> list[str]:
        """A vector for each text, in order: base64 of float32, least byte first, which is as compact as JSON can have it.

        Raises:
            ServiceRefused, ServiceBusy: there are none.
        """
        body = {"model": self.model, "input": list(texts), "encoding_format": "base64"}
        told = await post(http, f"{self.url}/v1/embeddings", body, token=self.key, name="the embeddings")
        try:
            placed = {int(one["index"]): _packed(one["embedding"]) for one in told["data"]}
            return [placed[index] for index in range(len(texts))]
        except (KeyError, TypeError, ValueError, struct.error) as error:
            raise ServiceBusy(f"the embeddings are not as documented: {type(error).__name__}") from error


def numbers(vector: str) -> list[float]:
    """The numbers of such a text.

    >>> numbers("AACAPwAAAL8=")
    [1.0, -0.5]
    """
    packed = base64.b64decode(vector, validate=True)
    return list(struct.unpack(f"<{len(packed) // 4}f", packed))


def _packed(embedding: Any) -> str:
    """Servers that don't know base64 send numbers all the same."""
    if isinstance(embedding, str):
        numbers(embedding)
        return embedding
    return base64.b64encode(struct.pack(f"<{len(embedding)}f", *embedding)).decode()
