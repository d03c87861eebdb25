"""Bytes that are equal exactly when two values are, and the keys made of them."""

from __future__ import annotations

import hashlib
import math
from typing import Any

from .cel_values import MAX_VALUE_DEPTH, Fault, normalize


def canonical(value: Any, depth: int = 0) -> bytes:
    """Return bytes that are the same for two values exactly when ``equal`` holds.

    Raises:
        Fault: the value equals nothing, not even itself, or nests too deeply.
    """
    if depth > MAX_VALUE_DEPTH:
        raise Fault("too_deep")
    value = normalize(value)
    if isinstance(value, (str, bool, int, float)) or value is None:
        return _canonical_scalar(value)
    if isinstance(value, list):
        return frame(b"l", *(canonical(item, depth + 1) for item in value))
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        pairs = ((_text(key), canonical(item, depth + 1)) for key, item in sorted(value.items()))
        return frame(b"m", *(part for pair in pairs for part in pair))
    raise Fault("no_key")


def _canonical_scalar(value: str | bool | float | None) -> bytes:
    if value is None:
        return b"z"
    if isinstance(value, str):
        return b"s" + _text(value)
    if isinstance(value, bool):
        return b"b1" if value else b"b0"
    if isinstance(value, float) and not value.is_integer():
        if math.isnan(value):
            raise Fault("no_key")
        return b"n" + repr(value).encode()
    return b"n%d" % int(value)


def _text(value: str) -> bytes:
    return value.encode("utf-8", "surrogatepass")


def frame(tag: bytes, *parts: bytes) -> bytes:
    """Join parts so that no two different sequences give the same bytes."""
    return tag + b"".join(b"%d:%b" % (len(part), part) for part in parts)


def hash_key(name: str, path_set: tuple[tuple[str, ...], ...], values: tuple[bytes, ...]) -> int:
    """Return the signed 64-bit key of an event name, its paths and the canonical values at them."""
    paths = frame(b"p", *(frame(b"p", *(_text(piece) for piece in path)) for path in path_set))
    digest = hashlib.blake2b(frame(b"k", _text(name), paths, *values), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)
