"""Attempts that failed, grouped by where in the code, on their way to the ledger: beside the settlements, once a second."""

import asyncio
import logging
import re
import sysconfig
from pathlib import Path
from typing import Final

import handlers
import infra
from infra.ledger import LedgerError, Troubles
from infra.ledger.records import Failed, Retried, Settlement
from infra.ledger.troubles import Failures, Place

log = logging.getLogger(__name__)

_EVERY: Final = 1.0
_MOST_PLACES: Final = 200  # that wait to be told
_LONGEST: Final = 200  # characters of a message
_ON_PURPOSE: Final = "RetryLater"
_FRAME: Final = re.compile(r'^[ |]*File "([^"\n]+)", line (\d+)', re.MULTILINE)

_HANDLERS: Final = Path(handlers.__file__).parent
_HOUSE: Final = _HANDLERS.parent
_FRAMEWORK: Final = frozenset({
    "__init__", "attempt", "bounds", "context", "declaration", "decorator", "durable", "errors", "event", "failures", "files",
    "http_clients", "payloads", "registry", "rehearsal", "results", "retry_policy", "schedules", "services", "testing",
})  # fmt: skip
_ELSES: Final = tuple(
    {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    | {str(Path(infra.__file__).parent), str(_HOUSE / "worker")}
)


def place_of(trace: str, *, root: Path) -> str:
    """The innermost line of the user's own code in a traceback, as ``file:line``; of any code where none is theirs.

    Args:
        root: what files are named relative to.

    >>> trace = 'Traceback …\\n  File "/app/taking.py", line 3, in pushed\\n  File "<string>", line 1, in <module>\\nKeyError'
    >>> place_of(trace, root=Path("/app")), place_of("KeyError", root=Path("/app"))
    ('taking.py:3', '')
    """
    frames = _FRAME.findall(trace)
    own = [frame for frame in frames if _is_own(frame[0])] or frames
    if not own:
        return ""
    name, line = own[-1]
    path = Path(name)
    shown = path.relative_to(root) if path.is_relative_to(root) else Path(*path.parts[-2:])
    return f"{shown}:{line}"


def _is_own(name: str) -> bool:
    path = Path(name)
    if not path.is_absolute() or name.startswith(_ELSES):
        return False
    return path.parent != _HANDLERS or path.stem not in _FRAMEWORK


class FailureNotes:
    """Notes failed attempts, and tells the ledger.

    Args:
        root: what files are named relative to: where the worker was started.
    """

    def __init__(self, troubles: Troubles, *, root: Path) -> None:
        self._troubles = troubles
        self._root = root
        self._noted: dict[Place, Failures] = {}

    def note(self, settlement: Settlement) -> None:
        """An attempt has ended. One that asked to be run later did not fail."""
        outcome = settlement.outcome
        if not isinstance(outcome, Failed | Retried) or outcome.error.type == _ON_PURPOSE:
            return
        place = Place(
            handler=settlement.handler,
            type=outcome.error.type,
            place=place_of(outcome.error.trace, root=self._root),
        )
        if place not in self._noted and len(self._noted) >= _MOST_PLACES:
            return
        failures = self._noted.setdefault(place, Failures())
        failures.message, failures.job_id = outcome.error.message[:_LONGEST], settlement.claim.job_id
        failures.attempts += 1
        failures.given_up += isinstance(outcome, Failed)

    async def run(self) -> None:
        """Tell the ledger, for as long as the task lives."""
        while True:
            await asyncio.sleep(_EVERY)
            await self.flush()

    async def flush(self) -> None:
        """Tell what was noted. What Redis does not take is forgotten: the jobs' own records have it too."""
        noted, self._noted = self._noted, {}
        if noted:
            try:
                await self._troubles.note(noted)
            except LedgerError as error:
                log.warning("failures could not be counted: %s", error)
