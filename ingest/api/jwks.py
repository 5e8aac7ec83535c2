"""``GET /.well-known/jwks.json``: the public halves of the keys that sign callbacks."""

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response

from infra.settings import Settings, SettingsError
from infra.signatures import CallbackKey, SchemeError
from ingest.replies import json_reply

_KEPT = {"Cache-Control": "public, max-age=300"}


class PublicKeys:
    """The document; empty where callbacks are signed with shared secrets alone."""

    def __init__(self, keys: Sequence[CallbackKey]) -> None:
        self._document = {"keys": [key.jwk for key in keys]}

    async def answer(self, _: Request) -> Response:
        """The answer to anyone."""
        return json_reply(self._document, 200, _KEPT)


def callback_keys_of(settings: Settings) -> list[CallbackKey]:
    """The keys of ``HOOKLINE_CALLBACK_PRIVATE_KEY``.

    Raises:
        SettingsError: one of them is none.
    """
    try:
        return [CallbackKey(key) for key in settings.callback_private_keys]
    except SchemeError as error:
        raise SettingsError(f"HOOKLINE_CALLBACK_PRIVATE_KEY: {error}") from None
