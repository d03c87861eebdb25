"""What becomes of a macro's turns; one error is forgiven where another item decides the matter."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from .cel_values import Fault, normalize

Turn = tuple[Any, Any]  # the item, and what the body made of it: a value or a Fault


def _truths(turns: Iterator[Turn]) -> Iterator[tuple[Any, bool | Fault]]:
    for item, value in turns:
        known = isinstance(value, (bool, Fault))
        yield item, value if known else Fault("not_bool")


def _value_or_raise(value: Any) -> Any:
    if isinstance(value, Fault):
        raise value
    return value


def _exists(turns: Iterator[Turn]) -> bool:
    return _settle(turns, True)


def _all(turns: Iterator[Turn]) -> bool:
    return _settle(turns, False)


def _settle(turns: Iterator[Turn], decisive: bool) -> bool:
    code = ""
    for _, value in _truths(turns):
        if value is decisive:
            return decisive
        code = value.code if isinstance(value, Fault) else code
    if code:
        raise Fault(code)
    return not decisive


def _exists_one(turns: Iterator[Turn]) -> bool:
    found = [True for _, value in _truths(turns) if _value_or_raise(value)]
    return len(found) == 1


def _filter(turns: Iterator[Turn]) -> list[Any]:
    return [item for item, value in _truths(turns) if _value_or_raise(value)]


def _transform(turns: Iterator[Turn]) -> list[Any]:
    return [normalize(_value_or_raise(value)) for _, value in turns]


MACROS: Final[dict[str, Callable[[Iterator[Turn]], Any]]] = {
    "exists": _exists,
    "all": _all,
    "exists_one": _exists_one,
    "filter": _filter,
    "map": _transform,
}
