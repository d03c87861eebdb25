"""Identifiers: time-ordered UUIDs (RFC 9562, version 7) and keys derived from other ids."""

from __future__ import annotations

import hashlib
import os
import time
import uuid

_NAMESPACE = uuid.UUID("5b0c1d52-6f0c-4d43-9d0e-64d1fb1f6a10")


def new_id() -> uuid.UUID:
    """Return a new UUIDv7 (RFC 9562 §5.7, §6.2 method 3): the time to a quarter of a microsecond, then 62 random bits.

    So ids that a process makes one after the other are in that order.
    """
    milliseconds, rest = divmod(time.time_ns(), 1_000_000)
    head = milliseconds << 16 | 0x7 << 12 | (rest << 12) // 1_000_000
    tail = int.from_bytes(os.urandom(8), "big") >> 2 | 0x2 << 62
    return uuid.UUID(int=head << 64 | tail)


def derive_id(*parts: object) -> uuid.UUID:
    """Return the UUIDv5 of the parts: equal parts give the equal id, on every host and at every attempt."""
    text = "\x1f".join(str(part) for part in parts)
    return uuid.uuid5(_NAMESPACE, text.encode("utf-8", "surrogatepass").hex())


def hash_text(text: str) -> int:
    """Return a signed 64-bit hash of the text that is the same in every process."""
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)
