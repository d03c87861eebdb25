"""Text of a literal to its value."""

from __future__ import annotations

import math
import re
from typing import Final

INT_MIN: Final = -(2**63)
INT_MAX: Final = 2**63 - 1

_ESCAPE: Final = re.compile(
    r"\\(?:(?P<plain>[abfnrtv\\?\"'`])|x(?P<x>[0-9a-fA-F]{2})|u(?P<u>[0-9a-fA-F]{4})"
    r"|U(?P<U>[0-9a-fA-F]{8})|(?P<octal>[0-3][0-7]{2})|(?P<bad>.|$))",
    re.DOTALL,
)
_PLAIN: Final = dict(zip("abfnrtv", "\a\b\f\n\r\t\v", strict=True))


def read_string(text: str) -> str:
    """Return the value of a text literal, quotes and prefix included in ``text``.

    Raises:
        ValueError: it holds an escape that means nothing, or half a surrogate pair.
    """
    raw = text[0] in "rR"
    quoted = text[1:] if raw else text
    width = 3 if len(quoted) >= 6 and quoted[:3] in ("'''", '"""') else 1
    inner = quoted[width:-width]
    return inner if raw else _ESCAPE.sub(_unescape, inner)


def _unescape(match: re.Match[str]) -> str:
    kind, found = match.lastgroup, match.group(match.lastgroup or 0)
    if kind == "bad":
        raise ValueError("an escape in this text means nothing")
    if kind == "plain":
        return _PLAIN.get(found, found)
    point = int(found, 8 if kind == "octal" else 16)
    if point > 0x10FFFF or 0xD800 <= point <= 0xDFFF:
        raise ValueError("an escape in this text is no character")
    return chr(point)


def read_int(text: str) -> int:
    """Return the value of a whole-number literal.

    Raises:
        ValueError: it does not fit 64 bits.
    """
    value = int(text, 16 if "x" in text else 10) if len(text) < 100 else INT_MAX + 1
    if not INT_MIN <= value <= INT_MAX:
        raise ValueError("this number does not fit 64 bits")
    return value


def read_float(text: str) -> float:
    """Return the value of a decimal literal.

    Raises:
        ValueError: it is too large for a double.
    """
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("this number is too large")
    return value
