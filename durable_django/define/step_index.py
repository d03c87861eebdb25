"""Step functions that any process can find by name: those declared with ``@step`` at the level of a module."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..exceptions import UnknownStep

_functions: dict[str, Callable[..., Any]] = {}


def index_step(function: Callable[..., Any]) -> None:
    """Note a function of a module; one that is made inside another function cannot be found again."""
    if "<locals>" not in function.__qualname__:
        _functions[_name(function)] = function


def name_step(function: Callable[..., Any]) -> str | None:
    """Return the name under which every process finds the function, or None."""
    name = _name(function)
    return name if _functions.get(name) is function else None


def find_step(name: str) -> Callable[..., Any]:
    """Return the function of that name; nothing is imported, only what was declared is found.

    Raises:
        UnknownStep: No imported module declares it.
    """
    if name not in _functions:
        raise UnknownStep(name=name)
    return _functions[name]


def list_functions() -> list[Callable[..., Any]]:
    """Return all of them."""
    return list(_functions.values())


def _name(function: Callable[..., Any]) -> str:
    return f"{getattr(function, '__module__', '')}:{getattr(function, '__qualname__', '')}"
