"""Fetching the keys that senders publish: cached, bounded, and never more often than a stranger should be able to make us.

A request that can't be trusted yet decides whether something is fetched, so what it can cause is bounded: the address is one
that the scheme pins, whatever a pin lets through is asked `FETCHES_A_MINUTE` times at the most, requests that want the same
document share one fetch, and what could not be had is not asked for again for a while.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import httpx

from infra.clock import Clock
from infra.egress import EgressError
from infra.errors import HooklineError
from infra.signatures.request import SignedRequest
from infra.signatures.scheme import Scheme, WantedKeys

FETCHES_A_MINUTE: Final = 10
MOST_DOCUMENTS: Final = 256
LARGEST_DOCUMENT: Final = 64 * 1024
FRESH_SECONDS: Final = 3600.0
USABLE_SECONDS: Final = 86_400.0
REFUSED_SECONDS: Final = 60.0
_FETCH_SECONDS: Final = 5.0


class FetchError(HooklineError):
    """The document could not be had."""


class Fetcher(Protocol):
    """What goes out to get a document."""

    async def fetch(self, url: str, question: bytes | None = None) -> bytes:
        """The document there: by GET, or by POST of a JSON question.

        Raises:
            FetchError: there is none, or it is too large.
        """

    async def aclose(self) -> None:
        """Let go of what is open."""


class HTTPFetcher:
    """A `Fetcher` over HTTP.

    Args:
        connect: makes a client over the guarded transport (`infra.egress.guarded_client`), which says what may be
            called; asked when there is something to fetch.
    """

    def __init__(self, connect: Callable[[], httpx.AsyncClient]) -> None:
        self._connect = connect
        self._client: httpx.AsyncClient | None = None

    async def fetch(self, url: str, question: bytes | None = None) -> bytes:
        if self._client is None:
            self._client = self._connect()
        method, headers = ("GET", {}) if question is None else ("POST", {"Content-Type": "application/json"})
        try:
            async with self._client.stream(
                method, url, content=question, headers=headers, timeout=_FETCH_SECONDS
            ) as answer:
                if answer.status_code != httpx.codes.OK:
                    raise FetchError(f"the answer is {answer.status_code}")
                received = bytearray()
                async for part in answer.aiter_raw():
                    received += part
                    if len(received) > LARGEST_DOCUMENT:
                        raise FetchError("the answer is too large")
        except (EgressError, httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
            raise FetchError(str(error) or type(error).__name__) from error
        return bytes(received)

    async def aclose(self) -> None:
        if self._client is not None:
            await self._client.aclose()


@dataclass(slots=True)
class _Entry:
    """What is known of a document; None: it could not be had then."""

    document: bytes | None
    at: float


class PublishedKeys:
    """The documents with senders' keys, as one process has them.

    Args:
        fetcher: what goes out.
    """

    def __init__(self, fetcher: Fetcher, clock: Clock) -> None:
        self._fetcher = fetcher
        self._clock = clock
        self._entries: OrderedDict[tuple[str, bytes | None], _Entry] = OrderedDict()
        self._fetching: dict[tuple[str, bytes | None], asyncio.Task[bytes | None]] = {}
        self._fetched: dict[str, deque[float]] = {}

    async def for_request(
        self, scheme: Scheme, request: SignedRequest, keys: Sequence[bytes]
    ) -> bytes | None:
        """The document that the scheme needs for this request; None if there is no need, or it could not be had.

        Raises:
            SignatureError: the request names nothing that could be trusted.
        """
        wanted = scheme.wanted_keys(request, keys)
        return None if wanted is None else await self.document(wanted)

    async def document(self, wanted: WantedKeys) -> bytes | None:
        """What is published there, from an address that whoever asks has pinned; None if it could not be had."""
        name = (wanted.url, wanted.question)
        entry = self._entries.get(name)
        age = 0.0
        if entry is not None:
            age = self._now() - entry.at
            self._entries.move_to_end(name)  # what is used stays, whatever strangers ask for
        if entry is not None and entry.document is None and age < REFUSED_SECONDS:
            return None
        kept = entry.document if entry is not None and age < USABLE_SECONDS else None
        if kept is not None and age < FRESH_SECONDS and _holds(kept, wanted.key_id):
            return kept
        task = self._fetching.get(name)
        if task is None:
            if not self._may_fetch(wanted.pin):
                return kept
            task = asyncio.create_task(self._fetch(name))
            self._fetching[name] = task
            task.add_done_callback(lambda _: self._fetching.pop(name, None))
        return await asyncio.shield(task) or kept

    async def stop(self) -> None:
        """Give up what is under way."""
        for task in list(self._fetching.values()):
            task.cancel()
        await asyncio.gather(*self._fetching.values(), return_exceptions=True)
        await self._fetcher.aclose()

    async def _fetch(self, name: tuple[str, bytes | None]) -> bytes | None:
        try:
            async with asyncio.timeout(_FETCH_SECONDS):
                document = await self._fetcher.fetch(*name)
        except (FetchError, TimeoutError):
            document = None
        known = self._entries.get(name)
        if document is not None or known is None or known.document is None:  # what is old serves meanwhile
            self._entries[name] = _Entry(document, self._now())
            self._entries.move_to_end(name)
            if len(self._entries) > MOST_DOCUMENTS:
                self._entries.popitem(last=False)
        return document

    def _may_fetch(self, pin: str) -> bool:
        """Whether one more may be fetched this minute; it counts as fetched."""
        times = self._fetched.setdefault(pin, deque())
        now = self._now()
        while times and times[0] <= now - 60.0:
            times.popleft()
        if len(times) >= FETCHES_A_MINUTE:
            return False
        times.append(now)
        return True

    def _now(self) -> float:
        return self._clock.now().timestamp()


def _holds(document: bytes, key_id: str | None) -> bool:
    """Whether the document names that key; key ids have no character that JSON writes in two ways."""
    return key_id is None or f'"{key_id}"'.encode() in document
