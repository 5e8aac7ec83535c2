"""What is recorded of a request that holds. Whatever a sender chose is bounded here, and nothing of it is believed."""

import re
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from infra.bounds import LONGEST_NAME, fits, short_id
from infra.egress import EgressPolicy, URLRefused, check_url
from infra.egress.policy import MAX_URL
from infra.expressions import Document
from infra.ids import EVENT, JOB, new_suffix
from infra.ledger.records import DEFAULT_TIMEOUT, Arrival, HandlerEntry
from infra.routes import ordering_key_of
from infra.signatures import Headers, SignedRequest
from infra.strict_json import StrictJSONError
from ingest.sources import Source

_REFERENCES: Final = ("client_reference_id", "clientReferenceId")
_SECRET_NAME: Final = re.compile(
    r"apikey|api-key|secret|token|password|^(?:proxy-)?authorization$|^(?:set-)?cookie$", re.ASCII
)


def type_of(source: Source, document: Document) -> str:
    """The event's type as handlers, indices and terminals can take it: at most 128 printable characters."""
    found = source.type_of(document)[:LONGEST_NAME]
    return (
        found
        if found.isprintable()
        else "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in found)
    )


def arrival_of(
    source: Source,
    request: SignedRequest,
    document: Document,
    *,
    type: str,  # noqa: A002 - the contract's word
    entry: HandlerEntry | None,
    policy: EgressPolicy,
    received_at: datetime,
    client: str,
    place: int | None = None,
) -> Arrival:
    """A verified request as an event, and the job to make for it.

    Args:
        document: the request's headers and the event's body, which may be one of several in the request's.
        client: the address that the request came from.
        place: its place among them; None: it is alone.
        entry: what live workers say of such events.
        policy: what may be called.
    """
    suffix = new_suffix()
    callback_url, refusal = _callback(source, document, policy)
    provider_event_id = source.identify(request, document, place=place)
    wait_key = None if source.wait_key is None else source.wait_key.evaluate(document)
    return Arrival(
        event_id=EVENT + suffix,
        job_id=JOB + suffix,
        source=source.name,
        type=type,
        received_at=received_at,
        client=client or None,
        body=document.body,
        content_type=request.headers.get("content-type") or "",
        headers=_kept_headers(request.headers, secrets=source.secrets),
        provider_event_id=None if provider_event_id is None else short_id(provider_event_id),
        wait_key=None if wait_key is None else short_id(wait_key),
        queue=(entry.queue if entry else None) or source.queue,
        timeout=entry.timeout if entry else DEFAULT_TIMEOUT,
        ordering_key=ordering_key_of(entry, document),
        callback_url=callback_url,
        callback_refusal=refusal,
        callback_options=source.callback_options,
        metadata=_metadata(source, document),
        tag=source.tag,
    )


def _callback(source: Source, document: Document, policy: EgressPolicy) -> tuple[str | None, str | None]:
    """The callback's URL, if there is one, and why it may not be called, if it may not.

    Only what the scheme covers is read (`ingest.sources` checks that at start).
    """
    url = None if source.callback_url is None else source.callback_url.evaluate(document)
    if url is None:
        return None, None
    try:
        check_url(url, policy)
    except URLRefused as refused:
        return url if len(url) <= MAX_URL else url[:MAX_URL] + "…", refused.reason
    return url, None


def _metadata(source: Source, document: Document) -> dict[str, Any]:
    """``metadata`` and ``client_reference_id`` of a JSON body, for the callback to echo; nothing where it is too much."""
    if source.scheme.covers not in ("body", "request"):
        return {}
    try:
        body = document.json
    except StrictJSONError:
        return {}
    if not isinstance(body, dict):
        return {}
    found = body.get("metadata")
    metadata = dict(found) if isinstance(found, dict) else {}
    for name in _REFERENCES:
        if isinstance(body.get(name), str | int):
            metadata["client_reference_id"] = body[name]
    return metadata if metadata and fits(metadata) else {}


def _kept_headers(headers: Headers, *, secrets: Sequence[bytes]) -> dict[str, str]:
    """The headers as an event keeps them: names in lower case, whatever is or could be a secret replaced by ``***``.

    Args:
        secrets: the source's own; a static key is sent as it is.

    >>> _kept_headers(Headers.of({"X-Event": "a", "Authorization": "Bearer k", "X-Key": "s3cret"}), secrets=[b"s3cret"])
    {'x-event': 'a', 'authorization': '***', 'x-key': '***'}
    """
    kept = dict(headers.items())
    for name in _names_of_secrets(tuple(kept)):
        kept[name] = "***"
    values = "\n".join(kept.values())
    for secret in secrets:
        text = secret.decode("latin-1")
        if text in values:
            kept = {name: "***" if text in value else value for name, value in kept.items()}
    return kept


@lru_cache(maxsize=256)
def _names_of_secrets(names: tuple[str, ...]) -> list[str]:
    """Those among the names of a request's headers. A provider always sends the same ones."""
    return [name for name in names if _SECRET_NAME.search(name)]
