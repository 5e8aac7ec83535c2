"""Since when each source has its secrets: noted as the web process starts, and told to whoever looks."""

import asyncio
import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from infra.ledger import LedgerError, SecretAges
from infra.tasks import end
from ingest.sources import Sources

log = logging.getLogger(__name__)

OLD: Final = timedelta(days=365)
"""After so long a secret should have been changed once."""


class SecretsSeen:
    """The ages of a table's secrets.

    Args:
        wanted: whether anybody can look; else nothing is noted.
    """

    def __init__(self, ages: SecretAges, sources: Sources, *, wanted: bool) -> None:
        self._ages = ages
        self._sources = sources
        self._wanted = wanted
        self._noting: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Note what there is, beside everything else."""
        if self._wanted:
            self._noting = asyncio.create_task(self._note())

    async def stop(self) -> None:
        """Give up what is under way."""
        await end(self._noting)

    async def first_seen(self) -> Mapping[str, tuple[datetime, ...]]:
        """For each source when its secrets were first seen, in the order of the secrets.

        Raises:
            LedgerError: Redis does not answer.
        """
        secrets = [(source.name, secret) for source in self._sources for secret in source.secrets]
        moments = iter(await self._ages.note(secrets))
        return {source.name: tuple(next(moments) for _ in source.secrets) for source in self._sources}

    async def _note(self) -> None:
        try:
            await self.first_seen()
        except LedgerError as error:  # whoever looks at them notes them too
            log.debug("the ages of secrets were not noted: %s", error)
