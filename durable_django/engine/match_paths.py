"""Paths into events: read them, follow them, cut an event down to them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..exceptions import InvalidExpression
from .cel_nodes import Paths
from .cel_values import MISSING, Fault, follow, plain

Event = Mapping[str, Any]


def split_path(path: str) -> tuple[str, ...]:
    """Return the keys of a ``match`` path.

    Raises:
        InvalidExpression: a part of it is empty.
    """
    pieces = tuple(path.split(".")) if isinstance(path, str) else ("",)
    if not all(pieces):
        raise InvalidExpression(source=path, column=1, reason="a match path is names joined by dots")
    return pieces


def prune(event: Event, paths: Paths) -> dict[str, Any]:
    """Return the part of an event that lies at ``paths``, in JSON types."""
    kept: dict[str, Any] = {}
    for path in paths:
        if not path:
            return {str(key): plain(value) for key, value in event.items()}
        _keep(kept, path, follow_safely(event, path))
    return kept


def _keep(kept: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    if value is MISSING:
        return
    for piece in path[:-1]:
        kept = kept.setdefault(piece, {})
    kept[path[-1]] = plain(value)


def follow_safely(event: Event, path: tuple[str, ...]) -> Any:
    """Return what lies at a path, or MISSING, also for a value that no event can hold."""
    try:
        return follow(event, path)
    except Fault:
        return MISSING
