"""The functions that an expression may call; a null argument gives null, or false from a test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from . import cel_convert as convert
from .cel_nodes import Constant, Node
from .cel_operators import absent
from .cel_values import Fault, Meter

MAX_PATTERN: Final = 500  # characters
MAX_MATCHED: Final = 64_000  # characters that matches() looks through


@dataclass(frozen=True, slots=True)
class Function:
    """What may be called by one name: arity with the target counted in, and in which forms."""

    call: Callable[..., Any]
    arity: int
    method: bool
    plain: bool
    returns_bool: bool | None = None  # None: it depends on the argument


def check_arguments(function: Function, arguments: tuple[Node, ...], *, method: bool) -> str:
    """Return what is wrong with a call as written, or an empty text."""
    if method and not function.method:
        return "is no method"
    if not method and not function.plain:
        return "must be called on a value, as in event.data.x.contains('y')"
    if len(arguments) != function.arity:
        return f"takes {function.arity - method} argument(s)"
    pattern = arguments[-1]
    if function.call is matches and isinstance(pattern, Constant) and isinstance(pattern.value, str):
        return "" if _compile_pattern(pattern.value) else "has a pattern that is no regular expression"
    return ""


def size(meter: Meter, value: Any) -> Any:
    """Return the length of a text, list or map; 0 for null."""
    if absent(value) is not False:
        return 0
    if not isinstance(value, (str, list, dict)):
        raise Fault("type_mismatch")
    return len(value)


def _test(test: Callable[[str, str], bool]) -> Callable[[Meter, Any, Any], bool]:
    def call(meter: Meter, text: Any, part: Any) -> bool:
        if absent(text, part) is not False:
            return False
        if not isinstance(text, str) or not isinstance(part, str):
            raise Fault("type_mismatch")
        meter.spend(len(text) // 128)
        return test(text, part)

    return call


def matches(meter: Meter, text: Any, pattern: Any) -> bool:
    """Tell whether a part of the text fits a RE2 pattern; false for null."""
    if absent(text, pattern) is not False:
        return False
    if not isinstance(text, str) or not isinstance(pattern, str):
        raise Fault("type_mismatch")
    if len(text) > MAX_MATCHED:
        raise Fault("too_large")
    meter.spend(20 + len(text) // 8)
    compiled = _compile_pattern(pattern)
    if compiled is None:
        raise Fault("bad_pattern")
    found: bool = compiled.search(text.encode("utf-8", "replace").decode()) is not None
    return found


@lru_cache(maxsize=256)
def _compile_pattern(pattern: str) -> Any:
    import re2

    options = re2.Options()
    options.log_errors = False
    options.max_mem = 1 << 18
    try:
        return re2.compile(pattern, options) if len(pattern) <= MAX_PATTERN else None
    except (re2.error, ValueError):
        return None


def _one(call: Callable[[Any], Any], **forms: Any) -> Function:
    weight = forms.pop("weight", 64)
    return Function(convert.unless_null(call, weight), 1, forms.pop("method", False), True, **forms)


_lower = _one(convert.lower_ascii, method=True, returns_bool=False)
_upper = _one(convert.upper_ascii, method=True, returns_bool=False)
_instant = _one(convert.to_instant, returns_bool=False)

FUNCTIONS: Final[dict[str, Function]] = {
    "size": Function(size, 1, True, True, False),
    "contains": Function(_test(lambda text, part: part in text), 2, True, False, True),
    "startsWith": Function(_test(str.startswith), 2, True, False, True),
    "endsWith": Function(_test(str.endswith), 2, True, False, True),
    "matches": Function(matches, 2, True, True, True),
    "int": _one(convert.to_int, returns_bool=False),
    "double": _one(convert.to_double, returns_bool=False),
    "string": _one(convert.to_string, returns_bool=False),
    "bool": _one(convert.to_bool, returns_bool=True),
    "timestamp": _instant,
    "date": _instant,
    "duration": _one(convert.to_span, returns_bool=False),
    "lowerAscii": _lower,
    "lowercase": _lower,
    "upperAscii": _upper,
    "uppercase": _upper,
    "b64decode": _one(convert.decode_base64, method=True, returns_bool=False),
    "json_parse": _one(convert.parse_json, method=True, weight=8),
}
