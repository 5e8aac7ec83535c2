"""Since when each secret of a source has been in use, as far as anybody here has seen."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from infra.clock import from_unix_milliseconds
from infra.durations import milliseconds
from infra.ledger.scripts import BATCH, Scripts
from infra.ledger.seal import Seal

REMEMBERED: Final = timedelta(days=90)
"""A secret that no web process has had for so long is new when it comes back."""


class SecretAges:
    """Notes secrets by a hash under ``HOOKLINE_SECRET_KEY``, from which nobody gets them back.

    Where that key is changed, the age goes on as long as the old one is still listed.
    """

    def __init__(self, scripts: Scripts, seal: Seal) -> None:
        self._scripts = scripts
        self._seal = seal

    async def note(self, secrets: Sequence[tuple[str, bytes]]) -> list[datetime]:
        """When each was first seen: now, where it is new.

        Args:
            secrets: each with the name of its source; the same at two sources is two.

        Raises:
            LedgerError: not confirmed; it may be repeated.
        """
        found: list[datetime] = []
        for first in range(0, len(secrets), BATCH):
            hashes = [
                self._seal.each(b"secret of a source", name.encode(), secret)
                for name, secret in secrets[first : first + BATCH]
            ]
            if hashes:
                flat = [one for each in hashes for one in each]
                told = await self._scripts.run("secrets", milliseconds(REMEMBERED), len(hashes[0]), *flat)
                found += [from_unix_milliseconds(int(one)) for one in told]
        return found
