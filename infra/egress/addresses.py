"""Which addresses are public, by lists of our own.

`ipaddress.is_global` calls loopback, metadata and private addresses global once they are wrapped in NAT64, 6to4 or the
IPv4-compatible form (CPython 3.11, the family of CVE-2024-4032), so it isn't asked.

IPv4 is public unless a row of `NOT_PUBLIC_V4` has it. IPv6 is public only inside 2000::/3, the one block that IANA gives
out, and outside `NOT_PUBLIC_V6`: that leaves out every other form at once, among them ``::1``, IPv4-mapped and -compatible
addresses, NAT64 (64:ff9b::/96 and 64:ff9b:1::/48), fc00::/7 with the metadata of AWS (fd00:ec2::254), and fe80::/10.

Sources: the IANA registries of special-purpose addresses, https://www.iana.org/assignments/iana-ipv4-special-registry and
https://www.iana.org/assignments/iana-ipv6-special-registry; for IPv6 as a whole RFC 4291 and
https://www.iana.org/assignments/ipv6-unicast-address-assignments; what a cloud's row rests on stands beside it.
"""

from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Final

Address = IPv4Address | IPv6Address

NOT_PUBLIC_V4: Final = {
    "0.0.0.0/8": "this network, RFC 791",
    "10.0.0.0/8": "private, RFC 1918",
    "100.64.0.0/10": "shared by carriers, RFC 6598; holds Alibaba's metadata, 100.100.100.200",
    "127.0.0.0/8": "loopback, RFC 1122",
    "168.63.129.16/32": "Azure's host agent, in a public range: learn.microsoft.com, what-is-ip-address-168-63-129-16",
    "169.254.0.0/16": "link-local, RFC 3927; holds the metadata of most clouds, 169.254.169.254 and 169.254.170.2",
    "172.16.0.0/12": "private, RFC 1918",
    "192.0.0.0/24": "protocol assignments, RFC 6890; holds Oracle's old metadata, 192.0.0.192",
    "192.0.2.0/24": "documentation, RFC 5737",
    "192.31.196.0/24": "AS112, RFC 7535",
    "192.52.193.0/24": "AMT, RFC 7450",
    "192.88.99.0/24": "6to4 relays, RFC 7526",
    "192.168.0.0/16": "private, RFC 1918",
    "192.175.48.0/24": "AS112, RFC 7534",
    "198.18.0.0/15": "benchmarks, RFC 2544",
    "198.51.100.0/24": "documentation, RFC 5737",
    "203.0.113.0/24": "documentation, RFC 5737",
    "224.0.0.0/4": "multicast, RFC 5771",
    "240.0.0.0/4": "reserved, RFC 1112, and broadcast, RFC 919",
}
NOT_PUBLIC_V6: Final = {
    "2001::/23": "protocol assignments, RFC 2928: Teredo 2001::/32, benchmarks, ORCHID",
    "2001:db8::/32": "documentation, RFC 3849",
    "2002::/16": "6to4, RFC 3056: any IPv4 address in disguise",
    "2620:4f:8000::/48": "AS112, RFC 7534",
    "3fff::/20": "documentation, RFC 9637",
}

_UNICAST_V6 = IPv6Network("2000::/3")
_NETWORKS_V4 = tuple(map(IPv4Network, NOT_PUBLIC_V4))
_NETWORKS_V6 = tuple(map(IPv6Network, NOT_PUBLIC_V6))


@lru_cache(maxsize=4096)
def is_public(address: Address) -> bool:
    """Whether an address belongs to the public internet.

    >>> [is_public(IPv4Address(text)) for text in ("93.184.215.14", "10.0.0.1", "168.63.129.16")]
    [True, False, False]
    >>> [is_public(IPv6Address(text)) for text in ("2606:4700::1111", "::ffff:93.184.215.14", "64:ff9b::a9fe:a9fe")]
    [True, False, False]
    """
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _NETWORKS_V4)
    return address in _UNICAST_V6 and not any(address in network for network in _NETWORKS_V6)
