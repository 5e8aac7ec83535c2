"""The HTTP clients that a worker's handlers share: one for ``async def``, one for ``def``, and a guarded one that calls only
what may be called; made at first use.
"""

from collections.abc import Callable
from http.cookiejar import CookieJar, DefaultCookiePolicy
from threading import Lock
from typing import Final, TypeVar

import httpx

from infra.egress import EgressPolicy, guarded_client

TIMEOUT: Final = httpx.Timeout(30.0, connect=10.0)
FETCHED_LIMIT: Final = 16 << 20
_Client = TypeVar("_Client", httpx.AsyncClient, httpx.Client)


class HTTPClients:
    """A pool of connections for each kind of handler. Cookies are not kept: jobs must not share a session.

    Args:
        asynchronous: makes the client of ``async def`` handlers; called once, in the loop that uses it.
        blocking: makes the client of ``def`` handlers, which any thread may use.
        guarded: makes the client behind ``context.fetch``, likewise in the loop; left out: one that calls public addresses.

    >>> clients = HTTPClients(blocking=lambda: httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(204))))
    >>> clients.blocking.get("https://example.com").status_code
    204
    """

    def __init__(
        self,
        *,
        asynchronous: Callable[[], httpx.AsyncClient] = lambda: httpx.AsyncClient(timeout=TIMEOUT),
        blocking: Callable[[], httpx.Client] = lambda: httpx.Client(timeout=TIMEOUT),
        guarded: Callable[[], httpx.AsyncClient] = lambda: fetching_client(EgressPolicy()),
    ) -> None:
        self._make_asynchronous = asynchronous
        self._make_blocking = blocking
        self._make_guarded = guarded
        self._asynchronous: httpx.AsyncClient | None = None
        self._guarded: httpx.AsyncClient | None = None
        self._blocking: httpx.Client | None = None
        self._lock = Lock()

    @property
    def asynchronous(self) -> httpx.AsyncClient:
        """For ``async def`` handlers."""
        if self._asynchronous is None:
            self._asynchronous = _without_cookies(self._make_asynchronous())
        return self._asynchronous

    @property
    def blocking(self) -> httpx.Client:
        """For ``def`` handlers, in their threads."""
        with self._lock:
            if self._blocking is None:
                self._blocking = _without_cookies(self._make_blocking())
            return self._blocking

    @property
    def guarded(self) -> httpx.AsyncClient:
        """For URLs that somebody else chose."""
        if self._guarded is None:
            self._guarded = _without_cookies(self._make_guarded())
        return self._guarded

    async def aclose(self) -> None:
        """Close what was opened. Call it in the loop that ran the handlers; a later use opens anew."""
        opened, blocking = (self._asynchronous, self._guarded), self._blocking
        self._asynchronous = self._guarded = self._blocking = None
        for client in opened:
            if client is not None:
                await client.aclose()
        if blocking is not None:
            blocking.close()


def fetching_client(policy: EgressPolicy) -> httpx.AsyncClient:
    """The client behind ``context.fetch``: answers of up to `FETCHED_LIMIT` bytes."""
    return guarded_client(policy, max_received=FETCHED_LIMIT)


def _without_cookies(client: _Client) -> _Client:
    client.cookies.jar = CookieJar(policy=DefaultCookiePolicy(allowed_domains=[]))
    return client
