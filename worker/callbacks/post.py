"""One signed POST through the guarded transport, and what came back."""

import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from typing import Final

import httpx

from infra.egress import DRIP, Blocked, EgressError, NoConnection, URLRefused
from infra.signatures import CallbackKey, CallbackSecrets, standard_webhooks_headers
from worker.callbacks.payload import Message
from worker.callbacks.receivers import Result
from worker.callbacks.schedule import Answered, Outcome, Refused, Unanswered

MAX_KEPT: Final = 4 * 1024

_log = logging.getLogger(__name__)


def _user_agent() -> str:
    try:
        return f"Hookline/{version('hookline')}"
    except PackageNotFoundError:  # a checkout that is not installed
        return "Hookline/0"


USER_AGENT: Final = _user_agent()


def unsent(reason: str) -> Unanswered:
    """What becomes of a POST that was not made, for a reason of ours."""
    return Unanswered(reason=reason, result=Result.UNSENT)


class Post:
    """Makes single POSTs.

    Args:
        transport: the guarded one (`infra.egress.GuardedTransport`).
        secrets: every one that a source or an API key has signs.
        private_keys: each signs besides.
        timeout: of one POST, in all.
    """

    def __init__(
        self,
        transport: httpx.AsyncBaseTransport,
        *,
        secrets: CallbackSecrets,
        timeout: timedelta,
        private_keys: Sequence[CallbackKey] = (),
    ) -> None:
        self._transport = transport
        self._secrets = secrets
        self._timeout = timeout
        self._private_keys = private_keys

    async def __call__(
        self,
        message: Message,
        *,
        url: str,
        source: str,
        secret_of: str | None = None,
        message_id: str,
        at: datetime,
    ) -> tuple[Outcome, str]:
        """What became of it, and the beginning of the reply. Only a cancellation is raised.

        Args:
            secret_of: the API key whose own secrets sign; None: the source's, or the house's.
        """
        secrets = self._secrets.of(source, secret_of)
        if not secrets:
            whose = "" if secret_of is None else f" of the API key {secret_of}"
            return unsent(f"there is no secret{whose} to sign with, so nothing was sent"), ""
        signed = standard_webhooks_headers(
            secrets, message_id=message_id, timestamp=at, body=message.body, private_keys=self._private_keys
        )
        return await exchange(self._transport, url, message, signed, within=self._timeout)

    async def aclose(self) -> None:
        """Close the connections that are kept."""
        await self._transport.aclose()


async def exchange(
    transport: httpx.AsyncBaseTransport,
    url: str,
    message: Message,
    signature: Mapping[str, str],
    *,
    within: timedelta,
    drip: timedelta | None = None,
) -> tuple[Outcome, str]:
    """What becomes of one POST, and the beginning of the reply. Only a cancellation is raised.

    Args:
        signature: the headers that vouch for the message.
        within: in all.
        drip: over how long the body goes out; None: at once.
    """
    try:
        request = httpx.Request(
            "POST",
            _read(url),
            headers={
                "Content-Type": message.content_type,
                "User-Agent": USER_AGENT,
                "Accept-Encoding": "identity",
                **message.headers,
                **signature,
            },
            content=message.body,
            extensions={
                "timeout": {"pool": within.total_seconds()},
                **({} if drip is None else {DRIP: drip.total_seconds()}),
            },
        )
        reply = await transport.handle_async_request(request)
        try:
            retry_after = reply.headers.get("Retry-After")
            return Answered(status=reply.status_code, retry_after=retry_after), await _beginning(reply)
        finally:
            await reply.aclose()
    except Blocked as refusal:
        return Refused(reason=refusal.reason), ""
    except NoConnection as failure:
        return Unanswered(reason=failure.reason, result=Result.UNREACHABLE), ""
    except EgressError as failure:
        return Unanswered(reason=failure.reason), ""
    except Exception as error:  # noqa: BLE001 - one callback's fault must not stop the others
        _log.error("a callback could not be sent: %s", type(error).__name__)
        return unsent(f"it could not be sent ({type(error).__name__})"), ""


@lru_cache(maxsize=1024)
def _read(url: str) -> httpx.URL:
    try:
        read = httpx.URL(url)
        read.host  # noqa: B018 - raises where the host is none
    except (httpx.InvalidURL, ValueError):
        raise URLRefused("this is not a URL") from None
    return read


async def _beginning(reply: httpx.Response) -> str:
    """The first 4 KiB of the body, as text. The status counts already: if the rest breaks off, so be it."""
    kept = b""
    with suppress(EgressError, httpx.HTTPError):
        async for part in reply.aiter_raw():  # the transport bounds it
            kept += part[: MAX_KEPT - len(kept)]
    return kept.decode("utf-8", "replace")
