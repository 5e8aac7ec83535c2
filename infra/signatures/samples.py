"""Sample events, as each provider would send and sign one, from ``samples.toml`` beside this file; every call makes a new event."""

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from hashlib import sha1
from pathlib import Path
from string import Template
from typing import Any
from urllib.parse import quote_plus
from uuid import UUID

from infra.clock import rfc3339, unix_milliseconds
from infra.ids import new_suffix
from infra.signatures.errors import SignatureError
from infra.signatures.scheme import Scheme

_DEFAULT = '{"id": "$id", "type": "$type", "created_at": "$now"}'
_DEFAULT_TYPE = "sample"
_JSON = "application/json"
_FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Sample:
    """What to sign and send.

    Args:
        headers: the provider's own, besides its signature.
    """

    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SignedSample:
    """A request as the provider would send it.

    Args:
        query: what the scheme adds to the address, with its ``?``.
    """

    body: bytes = field(repr=False)
    headers: Sequence[tuple[bytes, bytes]] = field(repr=False)
    query: str = field(repr=False)


def signed_sample(
    provider: str,
    scheme: Scheme,
    keys: Sequence[bytes],
    *,
    url: str,
    type: str | None = None,  # noqa: A002 - the contract's word
    body: bytes | None = None,
    now: datetime,
) -> SignedSample:
    """A new event, signed.

    Args:
        keys: newest first.
        url: the address as the receiver knows it, for schemes that sign it.
        type, body: as in `sample`.

    Raises:
        ValueError: the secret can only verify, or the body has not the shape that is signed.
    """
    suffix = new_suffix()
    made = sample(provider, type=type, body=body, form=scheme.form, now=now, suffix=suffix)
    try:
        signed = scheme.sign_request(made.body, keys, now=now, message_id=f"msg_{suffix}", url=url)
    except SignatureError as error:
        raise ValueError(str(error)) from error
    headers = {**made.headers, **signed.headers}
    encoded = [(name.encode(), value.encode("utf-8", "surrogateescape")) for name, value in headers.items()]
    return SignedSample(signed.body, encoded, (signed.url or "").removeprefix(url))


def type_header(provider: str) -> str | None:
    """The header in which a provider names an event's type; None where the body does."""
    header: str | None = _entry(provider).get("type_header")
    return header


def sample(
    provider: str,
    *,
    type: str | None = None,  # noqa: A002 - the contract's word
    body: bytes | None = None,
    form: bool = False,
    now: datetime,
    suffix: str,
) -> Sample:
    """A new event.

    Args:
        provider: a name in the provider table; one without a sample of its own gets ``{"id", "type", "created_at"}``.
        type: of the event; left out: what that provider sends most.
        body: sent as it is, instead of the sample.
        form: whether the sample is to be a form.
        now: when it happened.
        suffix: a ULID, from `infra.ids.new_suffix`; what tells one event from another.

    >>> from datetime import UTC
    >>> made = sample("github", type="push", now=datetime(2026, 11, 21, tzinfo=UTC), suffix="01kakn8m0000000000000000zz")
    >>> made.headers["X-GitHub-Event"], json.loads(made.body)["ref"]
    ('push', 'refs/heads/main')
    """
    entry = _entry(provider)
    type_ = type or entry.get("type", _DEFAULT_TYPE)
    digest = sha1(suffix.encode(), usedforsecurity=False).hexdigest()
    values = {
        "id": suffix.upper(),
        "uuid": str(UUID(bytes=suffix[-16:].encode("ascii"))),
        "number": str(int(digest[:12], 16)),
        "sha1": digest,
        "type": type_,
        "now": rfc3339(now),
        "seconds": str(unix_milliseconds(now) // 1000),
        "milliseconds": str(unix_milliseconds(now)),
    }
    headers = {"Content-Type": _FORM if form else entry.get("content_type", _JSON)}
    if "type_header" in entry:
        headers[entry["type_header"]] = type_
    headers |= {name: Template(text).substitute(values) for name, text in entry.get("headers", {}).items()}
    if body is None:
        escaped = values | {"type": quote_plus(type_) if form else json.dumps(type_)[1:-1]}
        text = entry["form"] if form else entry.get("types", {}).get(type_, entry.get("body", _DEFAULT))
        body = Template(text).substitute(escaped).encode("utf-8")
    return Sample(body, headers)


def _entry(provider: str) -> Mapping[str, Any]:
    return _entries().get(provider, {})


@cache
def _entries() -> Mapping[str, Mapping[str, Any]]:
    text = Path(__file__).with_name("samples.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)
