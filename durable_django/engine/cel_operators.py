"""Ordering and arithmetic with the types of the specification, bounded in time and memory."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

from .cel_literals import INT_MAX, INT_MIN
from .cel_values import MISSING, Fault, Instant, Meter, Span, is_number

MAX_TEXT: Final = 1_000_000  # characters that an expression may build

Operator = Callable[[Meter, Any, Any], Any]


def absent(*values: Any) -> Any:
    """Return MISSING or None if one of the values is that, in this order of preference; else False."""
    if any(value is MISSING for value in values):
        return MISSING
    return None if any(value is None for value in values) else False


def order(left: Any, right: Any) -> int | None:
    """Return -1, 0 or 1 as left is before, at or after right; None when a side is null or not a number.

    Raises:
        Fault: the two types have no common order.
    """
    if absent(left, right) is not False:
        return None
    alike = is_number(left) and is_number(right)
    if not alike and not (type(left) is type(right) and isinstance(left, (str, bool, Instant, Span))):
        raise Fault("type_mismatch")
    if left == right:
        return 0
    return -1 if left < right else 1 if left > right else None


def add(meter: Meter, left: Any, right: Any) -> Any:
    """Return ``left + right`` for numbers, texts, lists, instants and spans."""
    if isinstance(left, str) and isinstance(right, str):
        return concatenate(meter, left, right)
    if isinstance(left, list) and isinstance(right, list):
        meter.spend(len(left) + len(right))
        return left + right
    if isinstance(right, Span) and isinstance(left, (Instant, Span)):
        return _shift(left, right)
    if isinstance(left, Span) and isinstance(right, Instant):
        return _shift(right, left)
    return _calculate(left, right, lambda a, b: a + b)


def concatenate(meter: Meter, left: str, right: str) -> str:
    """Return two texts as one.

    Raises:
        Fault: it would be longer than MAX_TEXT.
    """
    if len(left) + len(right) > MAX_TEXT:
        raise Fault("too_large")
    meter.spend((len(left) + len(right)) // 64)
    return left + right


def subtract(meter: Meter, left: Any, right: Any) -> Any:
    """Return ``left - right`` for numbers, instants and spans."""
    if isinstance(left, Instant) and isinstance(right, Instant):
        return Span.of(left - right)
    if isinstance(right, Span) and isinstance(left, (Instant, Span)):
        return _shift(left, -right)
    return _calculate(left, right, lambda a, b: a - b)


def multiply(meter: Meter, left: Any, right: Any) -> Any:
    """Return ``left * right`` for numbers."""
    return _calculate(left, right, lambda a, b: a * b)


def divide(meter: Meter, left: Any, right: Any) -> Any:
    """Return ``left / right``; whole numbers are cut towards zero."""
    return _calculate(left, right, _quotient)


def remainder(meter: Meter, left: Any, right: Any) -> Any:
    """Return ``left % right`` for whole numbers, with the sign of ``left``."""
    return _calculate(left, right, _remainder)


def negate(value: Any) -> Any:
    """Return ``-value`` for a number or a span."""
    return Span.of(-value) if isinstance(value, Span) else _calculate(0, value, lambda a, b: -b)


def _shift(left: Instant | Span, right: timedelta) -> Any:
    try:
        moved = left + right
    except OverflowError as error:
        raise Fault("overflow") from error
    return Instant.of(moved) if isinstance(left, Instant) else Span.of(moved)  # type: ignore[arg-type]


def _calculate(left: Any, right: Any, operation: Callable[[Any, Any], Any]) -> Any:
    nothing = absent(left, right)
    if nothing is not False:
        return nothing
    if not is_number(left) or not is_number(right):
        raise Fault("type_mismatch")
    # JSON does not tell 10 from 10.0, so a mixed pair is calculated in doubles.
    if type(left) is not type(right):
        left, right = float(left), float(right)
    return _checked(operation(left, right))


def _checked(value: Any) -> Any:
    if isinstance(value, int) and not INT_MIN <= value <= INT_MAX:
        raise Fault("overflow")
    return value


def _quotient(left: Any, right: Any) -> Any:
    if isinstance(left, float):
        return _divide_doubles(left, right)
    if right == 0:
        raise Fault("division_by_zero")
    size = abs(left) // abs(right)
    return size if (left < 0) == (right < 0) else -size


def _divide_doubles(left: float, right: float) -> float:
    if right != 0:
        return left / right
    if left == 0 or math.isnan(left):
        return math.nan
    return math.copysign(math.inf, left) * math.copysign(1.0, right)


def _remainder(left: Any, right: Any) -> Any:
    if isinstance(left, float):
        raise Fault("type_mismatch")
    if right == 0:
        raise Fault("division_by_zero")
    return abs(left) % abs(right) * (-1 if left < 0 else 1)


ARITHMETIC: Final[dict[str, Operator]] = {
    "+": add,
    "-": subtract,
    "*": multiply,
    "/": divide,
    "%": remainder,
}
ORDERING: Final[dict[str, Callable[[int], bool]]] = {
    "<": lambda sign: sign < 0,
    "<=": lambda sign: sign <= 0,
    ">": lambda sign: sign > 0,
    ">=": lambda sign: sign >= 0,
}
