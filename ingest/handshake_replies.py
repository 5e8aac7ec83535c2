"""Replying to handshakes where words are not enough: an address to call first, a secret to hand to the operator."""

import asyncio
import logging
from collections.abc import Sequence

from starlette.responses import Response

from infra.hidden_text import hide
from infra.signatures import Fetcher, FetchError
from ingest.handshakes import Answer
from ingest.problems import CONFIRMATION_FAILED, Problem

log = logging.getLogger(__name__)


class Replies:
    """Carries out an answer.

    Args:
        fetcher: calls the addresses; over the guarded transport.
        secret_keys: under which secrets that providers bring are hidden.
        patience: with an address, in seconds.
    """

    def __init__(self, fetcher: Fetcher, *, secret_keys: Sequence[str], patience: float = 5.0) -> None:
        self._fetcher = fetcher
        self._secret_keys = secret_keys
        self._patience = patience

    async def reply(self, answer: Answer) -> Response:
        """The response, once what it promises is done.

        Raises:
            Problem: 503, where the address to confirm at can't be called.
        """
        if answer.visit is not None:
            try:
                async with asyncio.timeout(self._patience):
                    await self._fetcher.fetch(answer.visit)
            except (FetchError, TimeoutError) as error:
                raise Problem(CONFIRMATION_FAILED) from error
        if answer.secret is not None:
            log.warning(
                "somebody brought a secret for this source: see it with `hookline sources reveal`, and believe it only if you "
                "are setting up the provider now",
                extra={"hidden": hide(answer.secret, self._secret_keys)},
            )
        log.info("answered a handshake")
        return answer.reply()
