"""What a hook's body says about its caller: where the outcome goes, and what is echoed in it."""

import json
from typing import Any, Final

from infra.egress import EgressPolicy, URLRefused, check_url
from infra.expressions import Document
from infra.strict_json import StrictJSONError
from ingest.sources import Source

_MOST_METADATA: Final = 8 * 1024
_REFERENCES: Final = ("client_reference_id", "clientReferenceId")


def callback_of(source: Source, document: Document, policy: EgressPolicy) -> tuple[str | None, str | None]:
    """The callback's URL, if there is one, and why it may not be called, if it may not.

    Only what the scheme covers is read (`ingest.sources` checks that at start).
    """
    url = None if source.callback_url is None else source.callback_url.evaluate(document)
    if url is None:
        return None, None
    try:
        check_url(url, policy)
    except URLRefused as refused:
        return url, refused.reason
    return url, None


def metadata_of(source: Source, document: Document) -> dict[str, Any]:
    """``metadata`` and ``client_reference_id`` of a JSON body, for the callback to echo; at most 8 KiB of them."""
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
    return metadata if len(json.dumps(metadata)) <= _MOST_METADATA else {}
