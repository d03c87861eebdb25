"""Verify a key that came over HTTP, and note that it was used.

Note [A wrong key tells nothing]
    Unknown, revoked, expired and foreign keys are all the same None. Only hashes of equal length are
    compared, in constant time, and where no row has the prefix a dummy takes its place.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from ipaddress import ip_address, ip_network
from typing import Final

from django.db.models import Q

from ..clock import Now, read_time
from ..models import AccessKey

PREFIX_LENGTH: Final = 15
"""Characters of ``dk_`` and twelve hexadecimal digits: what is shown of a key and looked up."""
LONGEST: Final = 200
USE_NOTED_EACH: Final = timedelta(minutes=1)
_DUMMY: Final = "0" * 64


def verify_key(using: str, text: str, *, address: str = "") -> AccessKey | None:
    """Return the live key that the text is, or None.

    Args:
        address: Where the request comes from, for keys that are bound to networks.
    """
    row = _look_up(using, text[:PREFIX_LENGTH])
    same = hmac.compare_digest(hash_key(text[:LONGEST]), row.digest if row else _DUMMY)
    if row is None or not same or len(text) > LONGEST:
        return None
    now = read_time(row.now)  # type: ignore[attr-defined]  # annotated
    if not _is_live(row, now) or not _may_come_from(row.networks, address):
        return None
    _note_use(using, row, now)
    return row


def hash_key(text: str) -> str:
    """Return what is stored of a key: its SHA-256 in hex; 256 random bits need no slow hash."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def has_keys(using: str) -> bool:
    """Tell whether any key was ever made."""
    return AccessKey.objects.using(using).exists()


def may_send(key: AccessKey, event: str) -> bool:
    """Tell whether a key may send events of this name."""
    patterns: list[str] = key.event_patterns
    return not patterns or any(fnmatchcase(event, pattern) for pattern in patterns)


def _look_up(using: str, prefix: str) -> AccessKey | None:
    if not prefix.isascii() or "\x00" in prefix:
        return None
    return AccessKey.objects.using(using).filter(prefix=prefix).annotate(now=Now()).first()


def _is_live(key: AccessKey, now: datetime) -> bool:
    return key.revoked_at is None and (key.expires_at is None or key.expires_at > now)


def _may_come_from(networks: Sequence[str], address: str) -> bool:
    if not networks:
        return True
    try:
        found = ip_address(address)
    except ValueError:  # a unix socket has none
        return False
    return any(found in ip_network(network) for network in networks)


def _note_use(using: str, key: AccessKey, now: datetime) -> None:
    if key.used_at is not None and key.used_at > now - USE_NOTED_EACH:
        return
    stale = Q(used_at=None) | Q(used_at__lte=now - USE_NOTED_EACH)
    AccessKey.objects.using(using).filter(stale, id=key.id).update(used_at=Now())
