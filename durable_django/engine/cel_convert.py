"""Conversions that an expression may ask for, each bounded and strict; all raise Fault."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NoReturn

from .cel_literals import INT_MAX, INT_MIN
from .cel_operators import absent
from .cel_values import Fault, Instant, Meter, Span, is_number

_LOWER: Final = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}
_UPPER: Final = {code + 32: code for code in _LOWER}
_INSTANT: Final = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.ASCII | re.IGNORECASE
)
_SPAN: Final = re.compile(r"(\d{1,15}(?:\.\d{0,9})?)(h|ms|m|us|µs|ns|s)", re.ASCII)
_SPANS: Final = re.compile(rf"[+-]?(?:0|(?:{_SPAN.pattern})+)", re.ASCII)
_SECONDS: Final = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_LONGEST: Final = 315_576_000_000  # seconds; ten thousand years, as in the specification
_WHOLE: Final = re.compile(r"[+-]?\d{1,40}", re.ASCII)
_NUMBER: Final = re.compile(
    r"[+-]?(\d{1,40}(\.\d{0,40})?|\.\d{1,40})(e[+-]?\d{1,3})?", re.ASCII | re.IGNORECASE
)
_BOOLS: Final = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}


def unless_null(convert: Callable[[Any], Any], weight: int = 64) -> Callable[[Meter, Any], Any]:
    """Return ``convert`` for use by expressions: null stays null, ``weight`` characters cost one."""

    def call(meter: Meter, value: Any) -> Any:
        nothing = absent(value)
        if nothing is not False:
            return nothing
        meter.spend(8 + len(value) // weight if isinstance(value, str) else 0)
        try:
            return convert(value)
        except (ValueError, OverflowError, RecursionError) as error:
            raise Fault("bad_argument") from error

    return call


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise Fault("type_mismatch")
    return value


def to_int(value: Any) -> int:
    """Return the whole number that a number, a text or an instant (in seconds) stands for."""
    if isinstance(value, str):
        value = int(value) if _WHOLE.fullmatch(value) else _refuse()
    elif isinstance(value, Instant):
        value = int(value.timestamp() // 1)
    elif not is_number(value):
        raise Fault("type_mismatch")
    whole = int(value)
    if not INT_MIN <= whole <= INT_MAX:
        raise Fault("overflow")
    return whole


def to_double(value: Any) -> float:
    """Return the double that a number or a text stands for."""
    if isinstance(value, str):
        return float(value) if _NUMBER.fullmatch(value) else _refuse()
    if not is_number(value):
        raise Fault("type_mismatch")
    return float(value)


def _refuse() -> NoReturn:
    raise Fault("bad_argument")


def to_bool(value: Any) -> bool:
    """Return the bool that a bool or a text stands for."""
    if isinstance(value, bool):
        return value
    found = _BOOLS.get(_text(value).lower())
    return _refuse() if found is None else found


def to_string(value: Any) -> str:
    """Return the text of a scalar, an instant or a span."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Instant):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, Span):
        return f"{_number_text(value.total_seconds())}s"
    if not is_number(value):
        raise Fault("type_mismatch")
    return _number_text(value)


def _number_text(value: float) -> str:
    whole = isinstance(value, float) and value.is_integer() and abs(value) < 1e15
    return str(int(value)) if whole else repr(value)


def to_instant(value: Any) -> Instant:
    """Return the instant of an RFC 3339 text, or of a number of seconds since 1970."""
    if isinstance(value, Instant):
        return value
    if is_number(value) and isinstance(value, int):
        return Instant.of(datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=value))
    if not _INSTANT.fullmatch(_text(value)):
        raise Fault("bad_argument")
    return Instant.of(datetime.fromisoformat(value.upper()).astimezone(UTC))


def to_span(value: Any) -> Span:
    """Return the span of a text such as '1h30m'; at most ten thousand years."""
    if isinstance(value, Span):
        return value
    if len(_text(value)) > 64 or not _SPANS.fullmatch(value):
        raise Fault("bad_argument")
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in _SPAN.findall(value))
    if seconds > _LONGEST:
        raise Fault("overflow")
    return Span(seconds=-seconds if value[0] == "-" else seconds)


def decode_base64(value: Any) -> str:
    """Return the UTF-8 text that a base64 text holds."""
    try:
        return base64.b64decode(_text(value).encode("ascii"), validate=True).decode("utf-8")
    except (binascii.Error, UnicodeError) as error:
        raise Fault("bad_argument") from error


def parse_json(value: Any) -> Any:
    """Return the value that a JSON text holds."""
    return json.loads(_text(value), parse_constant=lambda name: _refuse())


def lower_ascii(value: Any) -> str:
    """Return a text with A to Z in lower case and all else as it is."""
    return _text(value).translate(_LOWER)


def upper_ascii(value: Any) -> str:
    """Return a text with a to z in upper case and all else as it is."""
    return _text(value).translate(_UPPER)
