"""Receivers: where callbacks go, as all workers know them."""

from collections.abc import AsyncIterator, Iterable, Sequence
from functools import lru_cache
from hashlib import blake2s
from typing import Any, Final

from infra.ids import RECEIVER, suffix_of
from infra.ledger import keys
from infra.ledger.lists import MOST_ON_A_PAGE, Filter, Lists, gather
from infra.ledger.parsing import moment, text
from infra.ledger.records import CallbackStatus, JobRecord, ReceiverRecord, ReceiverStatus

WITHHELD: Final = "receiver_paused"
"""The reason of a callback that became a dead letter because its receiver is paused."""

_FIELDS: Final = ("url", "seen", "taken", "failing", "error", "paused", "reason")


def receiver_url(url: str) -> str:
    """What callbacks to a URL have in common: the URL without its query, which often names the single call.

    A host is shared by receivers that have nothing to do with each other, such as the hooks of Make.

    >>> receiver_url("https://n8n.example.com/webhook-waiting/7?signature=x")
    'https://n8n.example.com/webhook-waiting/7'
    """
    return url.partition("?")[0]


@lru_cache(maxsize=1024)
def receiver_id(url: str) -> str:
    """The id of the receiver behind a URL; it follows from the URL, and does not tell it.

    >>> receiver_id("https://example.com/inbox?job=1") == receiver_id("https://example.com/inbox")
    True
    """
    digest = blake2s(receiver_url(url).encode(), digest_size=16, person=b"hl.rcv").digest()
    return RECEIVER + suffix_of(digest)


class Receivers(Lists):
    """The receivers that callbacks went to last. Everything here raises `LedgerError` where Redis does not answer."""

    async def receiver(self, receiver_id: str) -> ReceiverRecord | None:
        """The one with that id, or None where it is not known."""
        (found,) = await self._records([receiver_id])
        return found

    async def newest(self, *, status: ReceiverStatus | None = None, limit: int = 50) -> list[ReceiverRecord]:
        """Those that were noted last; of the paused ones those that were paused last. A status is looked for among the newest `limit` times ten."""
        paused = status is ReceiverStatus.PAUSED
        most = limit if status is None or paused else limit * 10
        (ids,) = await self._fetch(
            [("ZRANGE", keys.PAUSED if paused else keys.RECEIVERS, "0", str(most - 1), "REV")]
        )
        found = await self._records([text(one) for one in ids or []])
        return [one for one in found if one is not None and status in (None, one.status)][:limit]

    async def paused(self, urls: Iterable[str]) -> set[str]:
        """Those of some URLs whose receiver is paused."""
        asked = list(urls)
        since = await self._fetch([("ZSCORE", keys.PAUSED, receiver_id(url)) for url in asked])
        return {url for url, score in zip(asked, since, strict=True) if score is not None}

    async def lately_called(self, url: str, *, most: int, among: int) -> list[JobRecord]:
        """Jobs whose callbacks went there last, newest first, among the newest callbacks of all."""
        receiver = receiver_url(url)
        newest = (await gather(self.callbacks, limit=among)).items
        return [job for job in newest if job.callback and receiver_url(job.callback.url) == receiver][:most]

    def waiting_for(self, url: str) -> AsyncIterator[list[JobRecord]]:
        """The jobs whose callbacks wait to be sent there, a page at a time."""
        return self._called(url, CallbackStatus.PENDING)

    def withheld_from(self, url: str) -> AsyncIterator[list[JobRecord]]:
        """The jobs whose callbacks became dead letters because it is paused, newest first, a page at a time."""
        return self._called(url, CallbackStatus.DEAD)

    async def _called(self, url: str, status: CallbackStatus) -> AsyncIterator[list[JobRecord]]:
        receiver, place = receiver_url(url), None
        while True:
            page = await self.callbacks(Filter(status=status), after=place, limit=MOST_ON_A_PAGE)
            found = [job for job in page.items if _is_of(job, receiver, status)]
            if found:
                yield found
            place = page.next
            if place is None:
                return

    async def _records(self, ids: Sequence[str]) -> list[ReceiverRecord | None]:
        commands: list[tuple[str, ...]] = []
        for one in ids:
            commands += [("HMGET", keys.RECEIVER + one, *_FIELDS), ("ZSCORE", keys.PAUSED, one)]
        replies = await self._fetch(commands)
        return [_record(one, *replies[2 * place : 2 * place + 2]) for place, one in enumerate(ids)]


def _is_of(job: JobRecord, receiver: str, status: CallbackStatus) -> bool:
    callback = job.callback
    if callback is None or receiver_url(callback.url) != receiver:
        return False
    return status is CallbackStatus.PENDING or callback.reason == WITHHELD


def _record(receiver: str, kept: Any, paused: Any) -> ReceiverRecord | None:
    """What its record tells; None where there is none, or it tells of another."""
    url, seen, taken, failing, error, paused_at, reason = kept or (None,) * len(_FIELDS)
    if url is None or receiver_id(text(url)) != receiver:
        return None
    status = ReceiverStatus.FAILING if moment(failing) else ReceiverStatus.ACTIVE
    return ReceiverRecord(
        id=receiver,
        url=text(url),
        status=status if paused is None else ReceiverStatus.PAUSED,
        seen_at=moment(seen),
        taken_at=moment(taken),
        failing_since=moment(failing),
        error=text(error) or None,
        paused_at=None if paused is None else moment(paused_at) or moment(paused),
        reason=None if paused is None else text(reason) or None,
    )
