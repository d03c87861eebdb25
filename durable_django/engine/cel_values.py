"""Values of expressions: plain JSON types, instants, spans, and the absence of a field.

Integers and doubles compare by exact value; any other two types are simply not equal. A field that is not
there and a null are the same to every operator except equality of two fields, which absence never satisfies.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, Final
from uuid import UUID

from .cel_literals import INT_MAX, INT_MIN

MAX_VALUE_DEPTH: Final = 100


class Fault(Exception):
    """An evaluation error; it carries a short code and never a value."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Exhausted(Exception):
    """The evaluation used up its budget; unlike a Fault, `||` does not forgive it."""


class Meter:
    """The work that one evaluation may still do, in operator calls."""

    __slots__ = ("left",)

    def __init__(self, budget: int) -> None:
        self.left = budget

    def spend(self, amount: int) -> None:
        """Take ``amount`` off the budget; raise Exhausted when it is used up."""
        self.left -= amount
        if self.left < 0:
            raise Exhausted


class _Missing(Enum):
    MISSING = "missing"


MISSING: Final = _Missing.MISSING


class Instant(datetime):
    """A point in time made by timestamp()."""

    @classmethod
    def of(cls, moment: datetime) -> Instant:
        """Return the instant of an aware datetime."""
        return cls.fromisoformat(moment.isoformat())


class Span(timedelta):
    """A length of time made by duration()."""

    @classmethod
    def of(cls, length: timedelta) -> Span:
        """Return the span of a timedelta."""
        return cls(length.days, length.seconds, length.microseconds)


_AS_IS: Final = frozenset({str, bool, float, dict, list, type(None), Instant, Span, _Missing})


def normalize(value: Any) -> Any:
    """Return a field's value as one of the types that expressions know.

    Integers beyond 64 bits become doubles, dates and identifiers the text that JSON has for them.

    Raises:
        Fault: the type is not one that an event can hold.
    """
    kind = type(value)
    if kind in _AS_IS:
        return value
    if kind is int:
        return value if INT_MIN <= value <= INT_MAX else _double(value)
    return _normalize_other(value)


def _double(value: int | Decimal) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
    except ValueError:  # a signalling NaN
        return math.nan


def _normalize_other(value: Any) -> Any:
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return normalize(int(value))
    if isinstance(value, float):
        return float(value)
    if isinstance(value, Mapping):
        return {str(key): item for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return list(value)
    return _normalize_scalar(value)


def _normalize_scalar(value: Any) -> Any:
    if isinstance(value, Decimal):
        whole = value.is_finite() and abs(value) <= INT_MAX and value == value.to_integral_value()
        return int(value) if whole else _double(value)
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    if isinstance(value, timedelta):
        return f"{value.total_seconds()!r}s"
    if isinstance(value, UUID):
        return str(value)
    raise Fault("unsupported_value")


def plain(value: Any, depth: int = 0) -> Any:
    """Return the value in JSON types only; what no comparison can reach any more is cut off."""
    try:
        value = normalize(value)
    except Fault:
        return None
    if depth > MAX_VALUE_DEPTH or value is MISSING:
        return None
    if isinstance(value, dict):
        return {key: plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item, depth + 1) for item in value]
    return _normalize_scalar(value) if isinstance(value, (Instant, Span)) else value


def follow(value: Any, pieces: tuple[str, ...]) -> Any:
    """Return what lies at ``pieces`` below a value, or MISSING; the type on the way does not matter."""
    for piece in pieces:
        if not isinstance(value, Mapping):
            return MISSING
        value = value.get(piece, MISSING)
    return normalize(value)


def index(target: Any, key: Any) -> Any:
    """Return ``target[key]``; MISSING when there is no such item.

    Raises:
        Fault: the key is no text and no whole number that is not negative.
    """
    if key is None or key is MISSING:
        return MISSING
    if isinstance(key, str):
        return follow(target, (key,))
    if not is_number(key) or not math.isfinite(key) or key < 0 or key != int(key):
        raise Fault("bad_index")
    if isinstance(target, list) and key < len(target):
        return normalize(target[int(key)])
    return MISSING


def is_number(value: Any) -> bool:
    """Tell whether the value is an int or a double; a bool is neither."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def equal(meter: Meter, left: Any, right: Any, depth: int = 0) -> bool:
    """Tell whether two values are equal; absence equals nothing.

    Raises:
        Fault: they nest too deeply to be compared.
    """
    if depth > MAX_VALUE_DEPTH:
        raise Fault("too_deep")
    left, right = normalize(left), normalize(right)
    if isinstance(left, dict) and isinstance(right, dict):
        return _equal_maps(meter, left, right, depth + 1)
    if isinstance(left, list) and isinstance(right, list):
        return _equal_lists(meter, left, right, depth + 1)
    if left is MISSING or right is MISSING:
        return False
    if is_number(left) and is_number(right):
        return bool(left == right)
    return type(left) is type(right) and bool(left == right)


def _equal_maps(meter: Meter, left: dict[str, Any], right: dict[str, Any], depth: int) -> bool:
    meter.spend(2 * len(left))
    return left.keys() == right.keys() and all(equal(meter, left[key], right[key], depth) for key in left)


def _equal_lists(meter: Meter, left: list[Any], right: list[Any], depth: int) -> bool:
    meter.spend(2 * len(left))
    return len(left) == len(right) and all(
        equal(meter, one, other, depth) for one, other in zip(left, right, strict=True)
    )


def contained(meter: Meter, item: Any, container: Any) -> bool:
    """Tell whether ``item in container``, for a list or the keys of a map.

    Raises:
        Fault: the container is neither, nor null.
    """
    if container is None or container is MISSING:
        return False
    if isinstance(container, dict):
        return isinstance(item, str) and item in container
    if isinstance(container, list):
        meter.spend(len(container))
        return any(equal(meter, item, one) for one in container)
    raise Fault("type_mismatch")
