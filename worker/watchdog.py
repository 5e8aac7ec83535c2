"""Notices a handler that blocks the loop, and names it in the log while it does.

A thread of its own asks the loop for an answer a few times a second. Where none comes, it looks at which task the loop is
in, and at which line. What it watches pays nothing for it.
"""

import asyncio
import logging
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from typing import Final

log = logging.getLogger(__name__)

PATIENCE: Final = 1.0
_ASK_EVERY: Final = 0.25
_AT_ONCE: Final = 0.1


class Watchdog:
    """Watches one loop.

    Args:
        describe: fields of the log's line, such as the handler and the job, for the task that the loop is in; called in the
            watchdog's thread.
        patience: seconds without an answer.
    """

    def __init__(
        self,
        describe: Callable[["asyncio.Task[object] | None"], Mapping[str, str]],
        *,
        patience: float = PATIENCE,
    ) -> None:
        self._describe = describe
        self._patience = patience
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Watch the loop that this is called in, until `stop`."""
        arguments = (asyncio.get_running_loop(), threading.get_ident())
        self._thread = threading.Thread(target=self._watch, args=arguments, name="watchdog", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Watch no more."""
        self._stop.set()

    def _watch(self, loop: asyncio.AbstractEventLoop, thread: int) -> None:
        while not self._stop.wait(_ASK_EVERY):
            answered = threading.Event()
            asked = time.monotonic()
            try:
                loop.call_soon_threadsafe(answered.set)
            except RuntimeError:  # the loop is closed
                return
            # Whoever stood still as a whole, as a stopped process does, answers at once when it goes on.
            if not answered.wait(self._patience) and not answered.wait(_AT_ONCE):
                self._complain(loop, thread)
                answered.wait()
                log.warning("the loop goes on after %.1f s", time.monotonic() - asked)

    def _complain(self, loop: asyncio.AbstractEventLoop, thread: int) -> None:
        frame = sys._current_frames().get(thread)  # noqa: SLF001 - the documented way to another thread's stack
        where = "" if frame is None else _line(traceback.extract_stack(frame)[-1])
        log.warning(
            "the loop is blocked for more than %g s: everything else waits",
            self._patience,
            extra={**self._describe(asyncio.current_task(loop)), "at": where},
        )


def _line(frame: traceback.FrameSummary) -> str:
    return f"{frame.filename}:{frame.lineno} in {frame.name}: {frame.line}"
