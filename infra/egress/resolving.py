"""What a name stands for, asked of the system in threads of our own.

The loop's own resolver shares a handful of threads with everything else, and `socket.getaddrinfo` can't be interrupted: a
few names with a dead server would hold up all others. Here a name is asked for once at a time, however many wait for it,
and a thread that hangs ends with the process.
"""

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Final

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""A name and a port in, its addresses as text out; an `OSError` when there are none."""

AT_ONCE: Final = 128


class SystemResolver:
    """Asks the system's resolver. For one loop.

    >>> asyncio.run(SystemResolver()("127.0.0.1", 80))
    ['127.0.0.1']
    """

    def __init__(self) -> None:
        self._asked: dict[tuple[str, int], asyncio.Future[list[str]]] = {}

    async def __call__(self, host: str, port: int) -> list[str]:
        """The addresses of a name, in the system's order.

        Raises:
            OSError: there are none, or too many names are being asked for.
        """
        question = (host, port)
        asked = self._asked.get(question)
        if asked is None:
            if len(self._asked) >= AT_ONCE:
                raise OSError("too many names are being resolved")
            asked = self._ask(question)
        return await asyncio.shield(asked)

    def _ask(self, question: tuple[str, int]) -> asyncio.Future[list[str]]:
        loop = asyncio.get_running_loop()
        asked: asyncio.Future[list[str]] = loop.create_future()
        self._asked[question] = asked

        def settle(answer: list[str] | OSError) -> None:
            self._asked.pop(question, None)
            if asked.done():
                return
            if isinstance(answer, OSError):
                asked.set_exception(answer)
                asked.exception()  # whoever waited may have gone
            else:
                asked.set_result(answer)

        def ask() -> None:
            answer: list[str] | OSError
            try:
                found = socket.getaddrinfo(*question, type=socket.SOCK_STREAM)
                answer = list(dict.fromkeys(str(one[4][0]) for one in found))
            except (OSError, ValueError) as error:  # ValueError: a name that IDNA refuses
                answer = error if isinstance(error, OSError) else OSError(str(error))
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(settle, answer)

        threading.Thread(target=ask, name="resolve", daemon=True).start()
        return asked
