"""How the texts of variables become values: one parser a kind, each refuses what it can't read with words that never hold the text."""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Literal, cast

from infra.durations import parse_duration
from infra.rates import parse_rate
from infra.shards import MOST_SHARDS

Network = IPv4Network | IPv6Network
Scope = Literal["read", "submit", "operate"]
ConsoleRole = Literal["viewer", "operator"]
SCOPES: tuple[Scope, ...] = ("read", "submit", "operate")


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One key of ``HOOKLINE_API_KEYS``; its name appears in timelines, its key nowhere."""

    name: str
    key: str = field(repr=False)
    scopes: frozenset[Scope] = frozenset(SCOPES)


@dataclass(frozen=True, slots=True)
class KeySecret:
    """One secret that signs the callbacks of an API key's jobs.

    Args:
        key: the key's name.
    """

    key: str
    secret: str = field(repr=False)


def text(value: str) -> str:
    """As it is."""
    return value


def shards(value: str) -> tuple[str, ...]:
    """Addresses with white space between them: two or more, none of them twice; empty: none.

    >>> shards("redis://one redis://two")
    ('redis://one', 'redis://two')
    """
    found = tuple(value.split())
    if found and (not 2 <= len(found) <= MOST_SHARDS or len(set(found)) < len(found)):
        raise ValueError(
            f"needs 2 to {MOST_SHARDS} addresses with white space between them, none of them twice"
        )
    return found


def names(value: str) -> tuple[str, ...]:
    """A comma-separated list, at least one."""
    names = tuple(part.strip() for part in value.split(",") if part.strip())
    if not names:
        raise ValueError("needs at least one name")
    return names


def optional_list(value: str) -> tuple[str, ...]:
    """A comma-separated list, which may be empty."""
    return tuple(part.strip() for part in value.split(",") if part.strip())


def whole(low: int, high: int) -> Callable[[str], int]:
    """A whole number within bounds."""

    def parse(value: str) -> int:
        if not value.isascii() or not value.isdigit() or not low <= int(value) <= high:
            raise ValueError(f"needs a whole number from {low} to {high}")
        return int(value)

    return parse


def slots(value: str) -> int:
    """A number of slots, or ``cores``: as many as this process may use."""
    if value != "cores":
        return whole(1, 1_000)(value)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


_SIZES = {"MiB": 1 << 20, "KiB": 1 << 10, "B": 1}


def parse_size(value: str) -> int:
    """Bytes, from ``512KiB`` or ``1MiB``.

    >>> parse_size("1MiB")
    1048576
    """
    for unit, factor in _SIZES.items():
        number = value.removesuffix(unit).strip()
        if value.endswith(unit) and number.isascii() and number.isdigit():
            return int(number) * factor
    raise ValueError("needs a size such as 512KiB or 1MiB")


def duration(low: timedelta) -> Callable[[str], timedelta]:
    """A duration, no shorter than this."""

    def parse(value: str) -> timedelta:
        duration = parse_duration(value)
        if duration < low:
            raise ValueError(f"must be at least {low.total_seconds():g}s")
        return duration

    return parse


def networks(value: str) -> tuple[Network, ...]:
    """Addresses or networks."""
    try:
        return tuple(ip_network(part) for part in optional_list(value))
    except ValueError as error:
        raise ValueError("needs addresses or networks, such as 127.0.0.9/32") from error


_HOST = re.compile(r"(?:\*\.)?[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?|[0-9a-f:]+", re.ASCII)


def hosts(value: str) -> tuple[str, ...]:
    """Names of hosts; ``*.`` in front stands for whatever is below."""
    hosts = tuple(part.lower() for part in optional_list(value))
    if not all(_HOST.fullmatch(host) for host in hosts):
        raise ValueError("needs names of hosts, such as hooks.zapier.com or *.make.com")
    return hosts


def ports(value: str) -> frozenset[int]:
    """Numbers of ports."""
    return frozenset(whole(1, 65_535)(part) for part in optional_list(value))


def per_second(value: str) -> float:
    """A rate, as a number a second."""
    return parse_rate(value).per_second


def api_keys(value: str) -> tuple[ApiKey, ...]:
    """``name:key`` or ``name:key:scopes`` entries."""
    keys = []
    for entry in optional_list(value):
        name, _, rest = entry.partition(":")
        key, _, scopes = rest.partition(":")
        granted = (
            frozenset(scope for scope in SCOPES if scope in scopes.split("+"))
            if scopes
            else frozenset(SCOPES)
        )
        if not name or not key or (scopes and len(granted) != len(scopes.split("+"))):
            raise ValueError("needs name:key or name:key:read+submit+operate entries")
        keys.append(ApiKey(name, key, granted))
    return tuple(keys)


def key_secrets(value: str) -> tuple[KeySecret, ...]:
    """``name:whsec_…`` entries; a name may have several, the newest first.

    >>> [entry.key for entry in key_secrets("crm:whsec_bmV3,crm:whsec_b2xk,billing:whsec_Yg==")]
    ['crm', 'crm', 'billing']
    """
    entries = [entry.partition(":") for entry in optional_list(value)]
    if not all(name and secret for name, _, secret in entries):
        raise ValueError("needs name:whsec_… entries")
    return tuple(KeySecret(name, secret) for name, _, secret in entries)


@dataclass(frozen=True, slots=True)
class ConsoleUser:
    """Somebody who may use the console.

    Args:
        password: as argon2 writes its hashes.
    """

    name: str
    role: ConsoleRole
    password: str = field(repr=False)


_SHORTEST_PASSWORD = 12
_NEXT_USER = re.compile(r",\s*(?=[^,:$]+:(?:viewer|operator):)")  # the hashes have commas of their own
_USER = re.compile(r"([\w.@-]{1,64}):(viewer|operator):(\$argon2(?:id|i|d)\$[\w$=,+/.-]{20,300})", re.ASCII)


def console_users(value: str) -> tuple[ConsoleUser, ...]:
    """``name:role:hash`` entries."""
    found = [_USER.fullmatch(part.strip()) for part in _NEXT_USER.split(value) if part.strip()]
    users = [ConsoleUser(one[1], cast("ConsoleRole", one[2]), one[3]) for one in found if one is not None]
    if len(users) < len(found) or len({user.name for user in users}) < len(users):
        raise ValueError("needs name:viewer:$argon2… or name:operator:$argon2… entries, each name once")
    return tuple(users)


@dataclass(frozen=True, slots=True)
class ClaimRule:
    """Whom an identity provider's word lets in: whose claim has that value, or has it among its values.

    Args:
        claim: ``email``, ``domain`` (of the e-mail), or a claim's name.
    """

    claim: str
    value: str


_CLAIM = re.compile(r"([^\s=,]{1,128})=([^,]{1,256})")
_DOMAIN = r"(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z0-9-]+"
_EMAIL = re.compile(rf"[^\s@=,]{{1,64}}@{_DOMAIN}", re.ASCII)
_EMAILS_OF = re.compile(rf"@({_DOMAIN})", re.ASCII)


def claim_rules(value: str) -> tuple[ClaimRule, ...]:
    """``ada@example.com``, ``@example.com`` and ``claim=value`` entries.

    >>> [rule.claim for rule in claim_rules("Ada@example.com,@example.com,groups=on call")]
    ['email', 'domain', 'groups']
    """
    rules = []
    for entry in optional_list(value):
        if found := _CLAIM.fullmatch(entry):
            rules.append(ClaimRule(found[1], found[2]))
        elif found := _EMAILS_OF.fullmatch(entry.lower()):
            rules.append(ClaimRule("domain", found[1]))
        elif _EMAIL.fullmatch(entry.lower()):
            rules.append(ClaimRule("email", entry.lower()))
        else:
            raise ValueError("needs entries such as ada@example.com, @example.com or groups=operators")
    return tuple(rules)


def password(value: str) -> str:
    """A password that is long enough."""
    if len(value) < _SHORTEST_PASSWORD:
        raise ValueError(f"needs at least {_SHORTEST_PASSWORD} characters")
    return value


def choice(*allowed: str) -> Callable[[str], str]:
    """One of some words."""

    def parse(value: str) -> str:
        if value not in allowed:
            raise ValueError("needs one of: " + ", ".join(allowed))
        return value

    return parse


_HEADER = re.compile(r"[A-Za-z0-9-]{1,100}", re.ASCII)


def header(value: str) -> str:
    """A header's name."""
    if not _HEADER.fullmatch(value):
        raise ValueError("needs the name of a header, such as X-Real-IP")
    return value


def url(value: str) -> str:
    """A URL."""
    if not value.startswith(("https://", "http://")):
        raise ValueError("needs a URL that starts with https:// (or http:// on a laptop)")
    return value


def public_url(value: str) -> str:
    """A URL that links begin with."""
    return url(value).rstrip("/")
