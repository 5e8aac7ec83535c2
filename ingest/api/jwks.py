"""``GET /.well-known/jwks.json``: the public halves of the keys that sign callbacks."""

import json
from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response

from infra.signatures import CallbackKey

_HEADERS = {"Cache-Control": "public, max-age=300", "X-Content-Type-Options": "nosniff"}


class PublicKeys:
    """The document; it has no keys where callbacks are signed with shared secrets alone."""

    def __init__(self, keys: Sequence[CallbackKey]) -> None:
        self._document = json.dumps({"keys": [key.jwk for key in keys]})

    async def answer(self, _: Request) -> Response:
        """The answer to anyone, which may be kept for a while."""
        return Response(self._document, headers=_HEADERS, media_type="application/json")
