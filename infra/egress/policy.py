"""What may be called: two pure checks, one of a URL's text, one of an address.

`check_url` runs when a URL is accepted and again before it is called; it resolves nothing. `check_address` runs on
every address that a name stands for, when the connection is made.

A name over plain ``http``, or on any other port than the allowed ones, can't be known to be listed before it is
resolved, so it is refused. The one exception is ``localhost``, when 127.0.0.1 or ::1 is listed: that is how people
write a receiver on their own machine.
"""

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final, Self
from urllib.parse import urlsplit

import httpx

from infra.egress.addresses import Address, is_public
from infra.egress.errors import AddressRefused, URLRefused
from infra.setting_values import Network
from infra.settings import Settings

MAX_URL: Final = 2048
_TOO_LONG: Final = f"a URL has {MAX_URL} characters at the most"
_MAX_NAME: Final = 253
_DEFAULT_PORTS: Final = {"https": 443, "http": 80}
_LOCALHOST: Final = (IPv4Address("127.0.0.1"), IPv6Address("::1"))
_INTERNAL_SUFFIXES: Final = (
    ".localhost",
    ".localdomain",
    ".local",
    ".internal",
    ".onion",
    ".home.arpa",
    ".svc",
)

_OTHER_HOST: Final = "only hosts that HOOKLINE_CALLBACK_HOSTS lists are called"

_PRINTABLE = re.compile(r"[!-~]+", re.ASCII)
_NETLOC = re.compile(
    r"(?:\[(?P<v6>[0-9a-f:.]+)\]|(?P<name>[a-z0-9._-]+))(?::(?P<port>[0-9]{1,5}))?", re.ASCII
)
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?", re.ASCII)
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class EgressPolicy:
    """What the operator lets us call.

    Args:
        allow: addresses that are called whatever they are, by ``http`` too and on any port.
        hosts: if any, only these are called besides: names, ``*.make.com`` for all names below one, or addresses.
        ports: where ``https`` may go.
    """

    allow: tuple[Network, ...] = ()
    hosts: tuple[str, ...] = ()
    ports: frozenset[int] = frozenset({443, 8443})

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """What the settings say."""
        return cls(
            allow=settings.callback_allow, hosts=settings.callback_hosts, ports=settings.callback_ports
        )

    def lists(self, address: Address) -> bool:
        """Whether `allow` has the address."""
        return any(address in network for network in self.allow)

    def takes_host(self, host: str) -> bool:
        """Whether `hosts` lets a host through.

        >>> policy = EgressPolicy(hosts=("hooks.zapier.com", "*.make.com"))
        >>> [policy.takes_host(host) for host in ("hooks.zapier.com", "hook.eu2.make.com", "make.com", "evilmake.com")]
        [True, True, False, False]
        """
        return not self.hosts or any(
            host.endswith(known[1:]) if known.startswith("*.") else host == known for known in self.hosts
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedURL:
    """A URL whose text holds.

    Args:
        host: a name or a literal address, lower case, without brackets.
        literal: the host, if it is an address.
        listed_only: it may go to addresses of `EgressPolicy.allow` only, for it is not ``https`` on an allowed port.
    """

    url: str
    scheme: str
    host: str
    port: int
    literal: Address | None
    listed_only: bool

    @property
    def default_port(self) -> bool:
        """Whether the port is the scheme's own, which ``Host`` leaves out."""
        return self.port == _DEFAULT_PORTS[self.scheme]


def check_url(url: object, policy: EgressPolicy) -> CheckedURL:
    """Check a URL by its text, with the parser that will send it and a second one that must agree.

    Args:
        url: whatever stood where a URL was expected.

    Raises:
        URLRefused: with the reason in words, which don't repeat the URL.

    >>> check_url("https://hook.eu2.make.com/abc?x=1", EgressPolicy()).port
    443
    >>> check_url("http://hook.eu2.make.com/abc", EgressPolicy())
    Traceback (most recent call last):
        ...
    infra.egress.errors.URLRefused: only https is called, but for addresses that HOOKLINE_CALLBACK_ALLOW lists
    """
    if not isinstance(url, str) or not _PRINTABLE.fullmatch(url) or "\\" in url or "#" in url:
        raise URLRefused("a URL is text of printable ASCII characters, without space, backslash or #")
    if len(url) > MAX_URL:
        raise URLRefused(_TOO_LONG)
    scheme, host, port = _parse(url)
    open_port = scheme == "https" and port in policy.ports
    address = _literal(host)
    checked = CheckedURL(
        url=url, scheme=scheme, host=host, port=port, literal=address, listed_only=not open_port
    )
    if address is not None:
        if reason := _refusal(address, policy, listed_only=checked.listed_only):
            raise URLRefused(reason)
        if not policy.lists(address) and not policy.takes_host(host):
            raise URLRefused(_OTHER_HOST)
        return checked
    _check_name(checked, policy)
    return checked


def check_address(address: Address, policy: EgressPolicy, *, listed_only: bool = False) -> None:
    """Check one address before it is dialled.

    Raises:
        AddressRefused: with the reason in words, which don't repeat the address.

    >>> check_address(ip_address("10.0.0.1"), EgressPolicy())
    Traceback (most recent call last):
        ...
    infra.egress.errors.AddressRefused: the address is not a public one
    """
    if reason := _refusal(address, policy, listed_only=listed_only):
        raise AddressRefused(reason)


def _refusal(address: Address, policy: EgressPolicy, *, listed_only: bool) -> str | None:
    if policy.lists(address):
        return None
    if listed_only:
        return (
            "only https on the allowed ports is called, but for addresses that HOOKLINE_CALLBACK_ALLOW lists"
        )
    if not is_public(address):
        return "the address is not a public one"
    return None


def _parse(url: str) -> tuple[str, str, int]:
    """Scheme, host and port, as two parsers and our own pattern agree on them."""
    try:
        parts, sent = urlsplit(url), httpx.URL(url)
        port, sent_host = parts.port, sent.host  # either may raise, on a port or a host that is none
    except (ValueError, httpx.InvalidURL):  # idna.IDNAError is a ValueError
        raise URLRefused("this is not a URL") from None
    if parts.scheme not in _DEFAULT_PORTS:
        raise URLRefused("only https URLs are called")
    if "@" in parts.netloc:
        raise URLRefused("a URL with a user name or password is not called")
    match = _NETLOC.fullmatch(parts.netloc.lower())
    if match is None or not sent_host or port == 0:
        raise URLRefused("the URL has no proper host and port")
    host = match["v6"] or match["name"]
    read = (parts.scheme, host, port or _DEFAULT_PORTS[parts.scheme])
    read_by_httpx = (sent.scheme, sent.raw_host.decode("ascii"), sent.port or _DEFAULT_PORTS.get(sent.scheme))
    if read != read_by_httpx or parts.hostname != host:
        raise URLRefused("the URL can be read in two ways")
    if len(str(sent)) > MAX_URL:  # as it is sent, with its characters escaped
        raise URLRefused(_TOO_LONG)
    if _literal(host) is None and (match["v6"] or _NUMBER.fullmatch(host.rpartition(".")[2])):
        raise URLRefused("the URL's address is not written in the usual form")
    return read


def _check_name(checked: CheckedURL, policy: EgressPolicy) -> None:
    host = checked.host
    if host == "localhost" and any(policy.lists(address) for address in _LOCALHOST):
        return
    if not all(_LABEL.fullmatch(label) for label in host.split(".")) or len(host) > _MAX_NAME:
        raise URLRefused("the URL's host is not a name that DNS can hold")
    if "." not in host or host.endswith(_INTERNAL_SUFFIXES):
        raise URLRefused("the URL's host is a name of the inner network")
    if checked.scheme != "https":
        raise URLRefused("only https is called, but for addresses that HOOKLINE_CALLBACK_ALLOW lists")
    if checked.listed_only:
        ports = ", ".join(str(port) for port in sorted(policy.ports))
        raise URLRefused(f"only these ports are called: {ports}")
    if not policy.takes_host(host):
        raise URLRefused(_OTHER_HOST)


def _literal(host: str) -> Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None
