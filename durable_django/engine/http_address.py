"""Which IP addresses a request may go to. Pure.

Note [Only public unicast addresses]
    A workflow's URL often comes from outside, and a worker stands inside the network (server-side request
    forgery). So whatever the registries of special-purpose addresses list is refused: private, loopback,
    link-local (cloud metadata), shared (CGNAT), multicast, documentation, reserved; and of IPv6 everything
    outside the global unicast block, which also leaves out v4-mapped and NAT64 addresses, and within it the
    tunnels that carry an IPv4 address.
    https://www.iana.org/assignments/iana-ipv4-special-registry
    https://www.iana.org/assignments/iana-ipv6-special-registry
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_network
from typing import Final

Address = IPv4Address | IPv6Address

_V4: Final = tuple(
    ip_network(block)
    for block in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)
_GLOBAL_V6: Final = ip_network("2000::/3")
_V6: Final = tuple(
    ip_network(block)
    for block in ("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3ffe::/16", "3fff::/20")
)
_NEVER: Final = tuple(
    ip_network(block)
    for block in (
        "0.0.0.0/8",
        "169.254.0.0/16",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "::/128",
        "fe80::/10",
        "ff00::/8",
    )
)


def is_public(address: Address) -> bool:
    """Tell whether anybody on the internet may have the address."""
    if isinstance(address, IPv4Address):
        return not any(address in block for block in _V4)
    return address in _GLOBAL_V6 and not any(address in block for block in _V6)


def is_never_a_host(address: Address) -> bool:
    """Tell link-local, multicast and unspecified addresses, to which no trusted host leads."""
    plain = getattr(address, "ipv4_mapped", None) or address
    return any(plain in block for block in _NEVER)
