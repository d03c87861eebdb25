"""Find where a JSON value ends, and refuse what would be costly to parse; makes no objects of it.

Note [Measure first, then parse]
    Half a megabyte of brackets becomes many megabytes of Python objects, and deep nesting ends the
    parser's stack. So depth, keys and size are counted over the bytes first. Tokens are strings, brackets
    and colons; a string that does not end is one token to the end, so no byte is looked at twice.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from ..conf import settings
from ..exceptions import RequestInvalid

_TOKEN: Final = re.compile(rb'"(?:[^"\\]++|\\.?)*+(?:"|\Z)|[\[\]{}:]', re.DOTALL)
_QUOTE, _COLON = b'":'
_OPEN: Final = frozenset(b"[{")
OVERRUN: Final = 4
"""Times the limit that an event may have for its exact size to be told."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one event may cost: bytes, levels of nesting, keys, digits of a whole number."""

    size: int
    depth: int
    keys: int
    digits: int


def read_limits() -> Limits:
    """Return the limits of the settings."""
    return Limits(
        size=settings.EVENT_BYTES,
        depth=settings.EVENT_MAX_DEPTH,
        keys=settings.EVENT_MAX_KEYS,
        digits=settings.EVENT_MAX_DIGITS,
    )


def find_end(body: bytes, start: int, limits: Limits) -> int | None:
    """Return the position after the object or array that begins at ``start``; None if it does not end.

    Raises:
        RequestInvalid: It is too large, too deep, or has too many keys.
    """
    depth = keys = 0
    until = start + OVERRUN * limits.size
    for token in _TOKEN.finditer(body, start, min(until, len(body))):
        sign = body[token.start()]
        if sign == _QUOTE:
            continue
        if sign == _COLON:
            keys += 1
            _check("keys", keys, limits.keys)
        elif sign in _OPEN:
            depth += 1
            _check("levels of nesting", depth, limits.depth)
        else:
            depth -= 1
            if depth == 0:
                return _check_size(token.end() - start, token.end(), limits)
    if len(body) - start > limits.size:
        raise _too_large(limits, f"at least {min(len(body), until) - start}")
    return None


def _check(what: str, count: int, limit: int) -> None:
    if count > limit:
        raise RequestInvalid(reason=f"Event has more than {limit} {what}")


def _check_size(size: int, end: int, limits: Limits) -> int:
    if size > limits.size:
        raise _too_large(limits, str(size))
    return end


def _too_large(limits: Limits, size: str) -> RequestInvalid:
    return RequestInvalid(reason=f"Event is over the max size: Max {limits.size} bytes / Size {size} bytes")
