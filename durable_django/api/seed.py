"""Ids of the events of a request: in order, and with a seed the same at each repetition of the request."""

from __future__ import annotations

import base64
import binascii
import hashlib
from uuid import UUID

from ..ids import new_id

SEED_BYTES = 10
_FREE = 1 << 61


def choose_base(header: str, body: bytes, key: str) -> int:
    """Return the number of the id of a request's first event; the next ids are the next numbers.

    With a seed it is made of the seed, the body and the sender's key, so that a repeated request finds its
    events stored, and another request under the same seed loses none.

    Args:
        header: ``<ms>,<base64 of 10 bytes>``, or anything else for none.
        key: What tells senders apart.
    """
    seed = _read_seed(header)
    if seed is None:
        return _make_room(new_id().int)
    ms, entropy = seed
    parts = (entropy, hashlib.sha256(body).digest(), key.encode("utf-8", "surrogatepass"))
    noise = int.from_bytes(hashlib.sha256(b"".join(parts)).digest()[:10], "big")
    return _make_room(ms << 80 | noise & ~(0xF << 76) | 0x7 << 76)


def make_id(base: int, index: int) -> UUID:
    """Return the id of the event at that index, a UUIDv7."""
    return UUID(int=base + index)


def _make_room(value: int) -> int:
    # The variant's two bits are set, and the bit below them is free, so that counting up never reaches it.
    return value & ~(0x3 << 62) & ~_FREE | 0x2 << 62


def _read_seed(header: str) -> tuple[int, bytes] | None:
    ms, _, text = header.strip().partition(",")
    try:
        entropy = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    if not (ms.isascii() and ms.isdecimal() and len(ms) <= 15) or len(entropy) != SEED_BYTES:
        return None
    return (int(ms), entropy) if int(ms) < 1 << 48 else None
