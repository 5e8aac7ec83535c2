"""Which addresses are public, by lists of our own.

`ipaddress.is_global` calls loopback, metadata and private addresses global once they are wrapped in NAT64, 6to4 or the
IPv4-compatible form (CPython 3.11, the family of CVE-2024-4032), so it isn't asked.

Source: the IANA registries of special-purpose addresses, https://www.iana.org/assignments/iana-ipv4-special-registry
and https://www.iana.org/assignments/iana-ipv6-special-registry; 168.63.129.16 is Azure's host agent.
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

Address = IPv4Address | IPv6Address

_NOT_PUBLIC_V4 = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "168.63.129.16/32",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)
_UNICAST_V6 = IPv6Network("2000::/3")
_NOT_PUBLIC_V6 = tuple(IPv6Network(text) for text in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"))


def is_public(address: Address) -> bool:
    """Whether an address belongs to the public internet.

    >>> [is_public(IPv4Address(text)) for text in ("93.184.215.14", "10.0.0.1", "168.63.129.16")]
    [True, False, False]
    >>> [is_public(IPv6Address(text)) for text in ("2606:4700::1111", "::ffff:93.184.215.14", "64:ff9b::a9fe:a9fe")]
    [True, False, False]
    """
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _NOT_PUBLIC_V4)
    return address in _UNICAST_V6 and not any(address in network for network in _NOT_PUBLIC_V6)
