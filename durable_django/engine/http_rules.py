"""What may be requested: the setting FETCH_ALLOW, and a URL read by its rules. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any, Final, NoReturn
from urllib.parse import urlsplit

from ..exceptions import FetchRefused
from .http_address import Address, is_never_a_host, is_public

PORTS: Final = {"https": 443, "http": 80}
LONGEST_URL: Final = 8_192
_NUMBER: Final = re.compile(r"[0-9]+|0[xX][0-9a-fA-F]*", re.ASCII)
_LABEL: Final = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Target:
    """A URL that may be requested, if its host leads to addresses that may."""

    url: str
    scheme: str
    host: str
    port: int
    path: str

    @property
    def origin(self) -> str:
        """Scheme, host and port, which decide whether credentials may travel along."""
        return f"{self.scheme}://{self.host}:{self.port}"

    @property
    def shown(self) -> str:
        """The URL without its query, for errors and logs."""
        return show_url(self.url)


@dataclass(frozen=True, slots=True)
class Rules:
    """FETCH_ALLOW, read: ``http`` for all hosts, origins, hosts (or ``.suffix``), blocks of addresses."""

    http: bool = False
    origins: frozenset[str] = frozenset()
    hosts: frozenset[str] = frozenset()
    blocks: tuple[IPv4Network | IPv6Network, ...] = ()

    def allows_http(self, target: Target) -> bool:
        """Tell whether the target may be asked without TLS."""
        return self.http or target.origin in self.origins

    def allows_address(self, target: Target, address: Address) -> bool:
        """Tell whether a request to the target may go to the address."""
        if is_public(address) or any(address in block for block in self.blocks):
            return True
        return self._trusts(target) and not is_never_a_host(address)

    def _trusts(self, target: Target) -> bool:
        parts = target.host.split(".")
        names = {target.host, *("." + ".".join(parts[start:]) for start in range(1, len(parts)))}
        return target.origin in self.origins or not names.isdisjoint(self.hosts)


def read_rules(entries: Iterable[str], origins: Iterable[str] = ()) -> Rules:
    """Read the entries of FETCH_ALLOW.

    Args:
        entries: ``http``; ``http://host:port``; ``host`` or ``*.suffix``; an address or a block such as
            ``10.0.0.0/8``.
        origins: URLs whose origins are allowed besides.

    Raises:
        ValueError: An entry is none of these.
    """
    http, hosts, blocks = False, set(), []
    allowed = {_read_origin(url) for url in origins}
    for entry in entries:
        if entry == "http":
            http = True
        elif "://" in entry:
            allowed.add(_read_origin(entry))
        elif (block := _read_block(entry)) is not None:
            blocks.append(block)
        else:
            hosts.add(_read_host(entry))
    return Rules(http, frozenset(allowed), frozenset(hosts), tuple(blocks))


def are_rules(entries: Any) -> bool:
    """Tell whether FETCH_ALLOW can be read."""
    if isinstance(entries, str) or not isinstance(entries, (list, tuple, set, frozenset)):
        return False
    try:
        read_rules(entries)
    except (ValueError, TypeError):
        return False
    return True


def read_target(url: Any, rules: Rules) -> Target:
    """Read a URL.

    Raises:
        FetchRefused: It is malformed, has credentials or a number for a host, or is not https.
    """
    if not isinstance(url, str) or not url.isprintable() or " " in url or len(url) > LONGEST_URL:
        _refuse(url, f"a URL is printable text without blanks, of at most {LONGEST_URL} characters")
    try:
        target = _split(url)
    except ValueError as error:
        _refuse(url, str(error))
    if target.scheme == "http" and not rules.allows_http(target):
        _refuse(url, "plain http is not allowed")
    return target


def show_url(url: Any) -> str:
    """Return a URL without query, fragment and credentials, for errors and logs."""
    text = re.split(r"[?#]", str(url)[:500], maxsplit=1)[0]
    return re.sub(r"//[^/@]*@", "//…@", text)


def _refuse(url: Any, reason: str) -> NoReturn:
    raise FetchRefused(url=show_url(url), reason=reason) from None


def _split(url: str) -> Target:
    parts = urlsplit(url)
    if parts.scheme not in PORTS:
        raise ValueError(f"its scheme is {parts.scheme[:20]!r}, not https")
    if "@" in parts.netloc or "\\" in url:
        raise ValueError("it has credentials or a backslash; put credentials into headers")
    port = PORTS[parts.scheme] if parts.port is None else parts.port
    if not port:
        raise ValueError("its port is 0")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if not path.isascii():
        raise ValueError("its path has characters that are not percent-encoded")
    return Target(url, parts.scheme, read_host(parts.hostname or ""), port, path)


def read_host(host: str) -> str:
    """Return a host as it is asked for: an address in its one normal form, or an ASCII name.

    Raises:
        ValueError: It is empty, an address in another notation, or no name.
    """
    if ":" in host:
        if "%" in host:
            raise ValueError("its address has a zone")
        return str(ip_address(host))
    name = _encode(host.rstrip(".") if not host.endswith("..") else host).lower()
    labels = name.split(".")
    if _NUMBER.fullmatch(labels[-1]):  # decimal, octal and hexadecimal forms of an address end in a number
        if str(_read_ipv4(name)) != name:
            raise ValueError("its host is a number")
        return name
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError("it has no usable host")
    return name


def _encode(host: str) -> str:
    if host.isascii():
        return host
    try:
        return host.encode("idna").decode("ascii")
    except UnicodeError:
        raise ValueError("its host is no domain name") from None


def _read_ipv4(name: str) -> Any:
    try:
        return ip_address(name)
    except ValueError:
        return None


def _read_origin(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in PORTS or not parts.hostname:
        raise ValueError(f"{url!r} has no origin")
    return f"{parts.scheme}://{read_host(parts.hostname)}:{parts.port or PORTS[parts.scheme]}"


def _read_block(entry: str) -> IPv4Network | IPv6Network | None:
    try:
        return ip_network(entry)
    except ValueError:
        if "/" in entry:
            raise
        return None


def _read_host(entry: str) -> str:
    return "." + read_host(entry[2:]) if entry.startswith("*.") else read_host(entry)
