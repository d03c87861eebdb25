"""Verify a key that came over HTTP, and note that it was used.

Note [A wrong key tells nothing]
    Unknown, revoked, expired and foreign keys are all the same None. Only hashes of equal length are
    compared, in constant time, and where no row has the prefix a dummy takes its place.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from fnmatch import fnmatchcase
from ipaddress import ip_address, ip_network
from typing import Final

from ..exceptions import RateExceeded
from ..models import AccessKey
from ..store.access import KeyRow, find_key, measure_room, note_use, take_tokens

PREFIX_LENGTH: Final = 15
"""Characters of ``dk_`` and twelve hexadecimal digits: what is shown of a key and looked up."""
LONGEST: Final = 200
USE_NOTED_EACH: Final = 60.0
"""Seconds."""
_DUMMY: Final = "0" * 64


def verify_key(using: str, text: str, *, address: str = "") -> KeyRow | None:
    """Return the live key that the text is, or None.

    Args:
        address: Where the request comes from, for keys that are bound to networks.
    """
    row = _look_up(using, text[:PREFIX_LENGTH])
    same = hmac.compare_digest(hash_key(text[:LONGEST]), row.digest if row else _DUMMY)
    if row is None or not same or len(text) > LONGEST:
        return None
    if not _is_live(row) or not _may_come_from(row.networks, address):
        return None
    if row.used_at is None or (row.now - row.used_at).total_seconds() >= USE_NOTED_EACH:
        note_use(using, row.id, older_than=USE_NOTED_EACH)
    return row


def hash_key(text: str) -> str:
    """Return what is stored of a key: its SHA-256 in hex; 256 random bits need no slow hash."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def has_keys(using: str) -> bool:
    """Tell whether any key was ever made."""
    return AccessKey.objects.using(using).exists()


def may_send(key: KeyRow, event: str) -> bool:
    """Tell whether a key may send events of this name."""
    patterns = key.event_patterns
    return not patterns or any(fnmatchcase(event, pattern) for pattern in patterns)


def check_rate(key: KeyRow) -> None:
    """Refuse a request, before its body is read, whose key may not send a single event now.

    Raises:
        RateExceeded: Its rate is used up.
    """
    seconds = key.busy_until - key.now.timestamp() - measure_room(key, 1)
    if key.rate and seconds > 0:
        raise RateExceeded(key=key.name, rate=f"{key.rate:g}", seconds=seconds)


def spend(using: str, key: KeyRow, events: int) -> None:
    """Take the right to send so many events from the key's rate, if it has one.

    Raises:
        RateExceeded: It is used up for now.
    """
    seconds = take_tokens(using, key, events)
    if seconds:
        raise RateExceeded(key=key.name, rate=f"{key.rate:g}", seconds=seconds)


def _look_up(using: str, prefix: str) -> KeyRow | None:
    if not prefix.isascii() or "\x00" in prefix:
        return None
    return find_key(using, prefix)


def _is_live(key: KeyRow) -> bool:
    return key.revoked_at is None and (key.expires_at is None or key.expires_at > key.now)


def _may_come_from(networks: Sequence[str], address: str) -> bool:
    if not networks:
        return True
    try:
        found = ip_address(address)
    except ValueError:  # a unix socket has none
        return False
    return any(found in ip_network(network) for network in networks)
