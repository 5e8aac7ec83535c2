"""Sample events, as each provider would send one; every call makes a new event.

Sources: https://docs.fireflies.ai/graphql-api/webhooks-v2 and /webhooks (V1);
https://docs.github.com/en/webhooks/webhook-events-and-payloads;
https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md. Make names no fields: its
sample is our own.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha1
from typing import Any
from uuid import UUID

from infra.clock import rfc3339, unix_milliseconds

_FIREFLIES_V1 = "Transcription completed"
_DEFAULT_TYPES = {
    "fireflies": "meeting.summarized",
    "github": "ping",
    "make": "sample",
    "standard-webhooks": "sample.created",
}
_TYPE_HEADERS = {"github": "X-GitHub-Event", "make": "X-Event-Type"}


@dataclass(frozen=True, slots=True)
class Sample:
    """What to sign and send.

    Args:
        headers: the provider's own, besides its signature.
    """

    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


def type_header(provider: str) -> str | None:
    """The header in which a provider names an event's type; None where the body does."""
    return _TYPE_HEADERS.get(provider)


def sample(
    provider: str,
    *,
    type: str | None = None,  # noqa: A002 - the contract's word
    body: bytes | None = None,
    now: datetime,
    suffix: str,
) -> Sample:
    """A new event.

    Args:
        provider: a name in the provider table; one without a sample of its own gets ``{"id", "type", "created_at"}``.
        type: of the event; left out: what that provider sends most.
        body: sent as it is, instead of the sample.
        now: when it happened.
        suffix: a ULID, from `infra.ids.new_suffix`; what tells one event from another.

    >>> from datetime import UTC
    >>> made = sample("github", type="push", now=datetime(2026, 11, 21, tzinfo=UTC), suffix="01kakn8m0000000000000000zz")
    >>> made.headers["X-GitHub-Event"], json.loads(made.body)["ref"]
    ('push', 'refs/heads/main')
    """
    type_ = type or _DEFAULT_TYPES.get(provider, "sample")
    headers = {} if (name := type_header(provider)) is None else {name: type_}
    if provider == "github":
        headers |= {"X-GitHub-Delivery": _uuid(suffix), "User-Agent": "GitHub-Hookshot/hookline"}
    if body is None:
        body = json.dumps(_payload(provider, type_, now, suffix)).encode()
    return Sample(body, headers)


def _payload(provider: str, type_: str, now: datetime, suffix: str) -> dict[str, Any]:
    match provider:
        case "fireflies" if type_ == _FIREFLIES_V1:
            return {"meetingId": suffix.upper(), "eventType": type_, "clientReferenceId": "hookline-send"}
        case "fireflies":
            return {
                "event": type_,
                "timestamp": unix_milliseconds(now),
                "meeting_id": suffix.upper(),
                "client_reference_id": "hookline-send",
            }
        case "github":
            return _github(type_, suffix)
        case "make":
            return {"id": suffix, "sent_at": rfc3339(now), "text": "A sample from hookline send"}
        case "standard-webhooks":
            return {"type": type_, "timestamp": rfc3339(now), "data": {"id": suffix}}
        case _:
            return {"id": suffix, "type": type_, "created_at": rfc3339(now)}


def _github(type_: str, suffix: str) -> dict[str, Any]:
    repository = {"id": 1, "name": "sample", "full_name": "hookline/sample", "private": True}
    sender = {"id": 1, "login": "hookline", "type": "User"}
    if type_ == "ping":
        hook = {"type": "Repository", "id": 1, "active": True, "events": ["push"]}
        return {
            "zen": "Keep it logically awesome.",
            "hook_id": 1,
            "hook": hook,
            "repository": repository,
            "sender": sender,
        }
    if type_ == "push":
        digest = sha1(suffix.encode(), usedforsecurity=False).hexdigest()
        commit = {"id": digest, "message": "A sample from hookline send", "modified": ["README.md"]}
        return {
            "ref": "refs/heads/main",
            "before": "0" * 40,
            "after": digest,
            "commits": [commit],
            "head_commit": commit,
            "repository": repository,
            "sender": sender,
        }
    return {"repository": repository, "sender": sender}


def _uuid(suffix: str) -> str:
    """GitHub's deliveries are UUIDs; this one is the suffix's last 16 characters."""
    return str(UUID(bytes=suffix[-16:].encode("ascii")))
