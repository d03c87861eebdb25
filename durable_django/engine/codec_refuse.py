"""Why a value cannot be stored, and where it sits: the words of ``Unserializable``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import is_dataclass
from enum import Enum
from typing import Any, Final

Path = tuple[Any, Any] | None
"""The keys down to a value, innermost first: ``((None, "a"), 3)`` is ``$.a[3]``."""

_SHOWN: Final = 160  # characters of a path in an error's text


def render(path: Path) -> str:
    """Return a path as text, with its middle left out if it is long."""
    parts: list[str] = []
    while path is not None:
        path, key = path
        parts.append(_render_key(key))
    text = "$" + "".join(reversed(parts))
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN // 2]}…{text[-_SHOWN // 2 :]}"


def explain(value: Any) -> str:
    """Return why a value of this type is refused and what to return instead."""
    kind = type(value)
    return f"{kind.__module__}.{kind.__qualname__} has no JSON form{_advise(kind)}"


def _render_key(key: str | int) -> str:
    if isinstance(key, int):
        return f"[{key}]"
    short = key[:40]
    return f".{short}" if short.isidentifier() else f"[{short!a}]"


def _advise(kind: type) -> str:
    # by type alone: isinstance would wake Django's lazy objects
    if issubclass(kind, Enum):
        return "; return its .value"
    if issubclass(kind, set | frozenset):
        return "; return a sorted list"
    if issubclass(kind, bytearray | memoryview):
        return "; return bytes"
    if is_dataclass(kind) or hasattr(kind, "model_dump"):
        return "; pass output_type= to the step"
    if hasattr(kind, "_meta"):
        return "; return its primary key"
    return _advise_on_behaviour(kind)


def _advise_on_behaviour(kind: type) -> str:
    if hasattr(kind, "__await__"):
        return "; await it"
    if issubclass(kind, Iterator) or hasattr(kind, "iterator"):
        return "; make it a list of plain values"
    if hasattr(kind, "item"):
        return "; call .item() or .tolist()"
    if issubclass(kind, Mapping):
        return "; make it a dict"
    return ""
