"""Samples of refused requests: what `ingest.diagnose` works on. The 401 never waits for one.

Of a source, a process keeps 20 requests at once, and after that one a second, at the most; the newest 20 stay for an hour. They are
sealed under ``HOOKLINE_SECRET_KEY``, and secrets are taken out of them first (`ingest.masks`).
"""

import asyncio
import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec

from infra.clock import Clock
from infra.hidden_text import HiddenTextError, hide, reveal
from infra.ledger import LedgerError, Refusals
from infra.settings import Settings
from infra.signatures import Headers, SignedRequest
from ingest.masks import Masks
from ingest.problems import SIGNATURE_INVALID, Problem
from ingest.sources import Source, Sources

log = logging.getLogger(__name__)

LARGEST: Final = 16 * 1024  # bytes of a sample; of a larger request the body is not kept
_LARGEST_HEADERS: Final = 8 * 1024
_AT_ONCE: Final = 20
_MOST_UNDER_WAY: Final = 40  # of all sources
_APART: Final = timedelta(seconds=1)


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """A refused request.

    Args:
        because: why it was refused, in the log's words.
        size: of the body, in bytes.
        body: None: it was too large to be kept.
    """

    received_at: datetime
    because: str
    method: str
    url: str | None
    query: bytes
    headers: list[tuple[bytes, bytes]]
    size: int
    body: bytes | None

    @property
    def request(self) -> SignedRequest:
        """The request again, as far as it was kept."""
        return SignedRequest(
            method=self.method,
            url=self.url,
            query=self.query,
            headers=Headers(self.headers),
            body=self.body or b"",
        )


class RefusedRequests:
    """Keeps samples, and finds them again.

    Args:
        refusals: where they are kept.
    """

    def __init__(self, refusals: Refusals, sources: Sources, settings: Settings, clock: Clock) -> None:
        self._refusals = refusals
        self._secret_keys = settings.secret_keys or ()
        self._masks = Masks(_secrets(sources, settings), self._secret_keys)
        self._clock = clock
        self._whole_again: dict[str, datetime] = {}  # a source's allowance
        self._keeping: set[asyncio.Task[None]] = set()

    def note(self, source: Source, request: SignedRequest, problem: Problem) -> None:
        """Keep a request that was refused, later, if it is its turn."""
        if problem.kind is not SIGNATURE_INVALID or len(self._keeping) == _MOST_UNDER_WAY:
            return
        now = self._clock.now()
        whole = max(self._whole_again.get(source.name, now), now) + _APART
        if whole - now > _AT_ONCE * _APART:
            return
        self._whole_again[source.name] = whole
        because = str(problem.__cause__ or problem)
        keeping = asyncio.create_task(self._keep(source.name, request, because, now))
        self._keeping.add(keeping)
        keeping.add_done_callback(self._keeping.discard)

    async def stop(self) -> None:
        """Wait for those that are being kept."""
        if self._keeping:
            await asyncio.wait(self._keeping)

    async def of(self, source: str) -> list[Sample]:
        """The samples of a source, newest first. What nobody of us kept is left out.

        Raises:
            LedgerError: Redis did not answer.
        """
        found = [self._opened(kept) for kept in await self._refusals.newest(source)]
        return sorted((sample for sample in found if sample is not None), key=_moment, reverse=True)

    async def _keep(self, source: str, request: SignedRequest, because: str, now: datetime) -> None:
        sealed = await asyncio.to_thread(self._sealed, request, because, now)
        if sealed is None:
            return
        try:
            await self._refusals.keep(source, sealed)
        except LedgerError as error:
            log.debug("a refused request was not kept", extra={"source": source, "because": str(error)})

    def _sealed(self, request: SignedRequest, because: str, now: datetime) -> bytes | None:
        """What is kept of a request, or None. In a house of many secrets it takes milliseconds."""
        sample = self._masked(request, because, now)
        if sample is None:
            return None
        return hide(msgspec.json.encode(sample).decode("utf-8"), self._secret_keys).encode("ascii")

    def _masked(self, request: SignedRequest, because: str, now: datetime) -> Sample | None:
        """The request without secrets, or None where there is too much of it."""
        pairs = [(name, self._masks.header(name, value)) for name, value in request.headers.raw()]
        headers = [(name, value) for name, value in pairs if value is not None]
        size = sum(len(name) + len(value) for name, value in headers) + len(request.url or "")
        if size > _LARGEST_HEADERS:
            return None
        address, mark, _ = (request.url or "").partition("?")
        query = self._masks.query(request.query)
        return Sample(
            received_at=now,
            because=because,
            method=request.method,
            url=None if request.url is None else address + mark + query.decode("latin-1"),
            query=query,
            headers=headers,
            size=len(request.body),
            body=self._masks.hide(request.body) if size + len(request.body) <= LARGEST else None,
        )

    def _opened(self, kept: bytes) -> Sample | None:
        """A sample with the secrets back in their places."""
        try:
            sample = msgspec.json.decode(reveal(kept.decode("ascii"), self._secret_keys), type=Sample)
        except (UnicodeDecodeError, HiddenTextError, msgspec.DecodeError):
            return None
        show = self._masks.show
        return msgspec.structs.replace(
            sample,
            url=None if sample.url is None else show(sample.url.encode("latin-1")).decode("latin-1"),
            query=show(sample.query),
            headers=[(name, show(value)) for name, value in sample.headers],
            body=None if sample.body is None else show(sample.body),
        )


def _moment(sample: Sample) -> datetime:
    return sample.received_at


def _secrets(sources: Sources, settings: Settings) -> Sequence[bytes]:
    """All that must not be read in Redis."""
    found = [secret for source in sources for secret in source.secrets]
    texts = [secret for source in sources for secret in source.callback_secrets]
    texts += [
        *(settings.secret_keys or ()),
        *(settings.callback_secrets or ()),
        *(entry.secret for entry in settings.api_key_callback_secrets),
        *settings.callback_private_keys,
    ]
    texts += [*(key.key for key in settings.api_keys), settings.fireflies_api_key or ""]
    for source in sources:
        found += source.handshakes.verify_tokens if source.handshakes is not None else ()
    return [*found, *(text.encode("utf-8") for text in texts)]
