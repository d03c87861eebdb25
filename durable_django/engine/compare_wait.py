"""Which comparisons of a condition an event did not meet, with the values that were compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from . import cel_nodes as nodes
from .cel_evaluate import Scope, build, require_bool
from .cel_nodes import Node, Paths
from .cel_text import write
from .cel_values import MISSING
from .expressions import compile_expression, run_bounded
from .match_paths import follow_safely, prune, split_path
from .redact import redact

COMPARISONS: Final = 5
"""Comparisons told of one wait."""

Event = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Read:
    """A field that a comparison reads, and its masked value; ``found`` is False where the event lacks it."""

    path: str
    value: Any
    found: bool


@dataclass(frozen=True, slots=True)
class Unmet:
    """A comparison that was not true; ``error`` is the code if it could not be decided."""

    text: str
    error: str
    reads: tuple[Read, ...]


def compare_wait(*, match: str, expression: str, bound: Event, incoming: Event) -> list[Unmet]:
    """Return the comparisons that kept an event from ending a wait, none if it matches.

    Raises:
        InvalidExpression: The stored condition does not compile any more.
    """
    node = _read_condition(match, expression)
    return [] if node is None else list(islice(_find(node, True, bound, incoming), COMPARISONS))


def read_compared(*, match: str, expression: str, bound: Event, incoming: Event) -> tuple[Read, ...]:
    """Return the masked values that a condition compares, of the triggering event and of the incoming one.

    Raises:
        InvalidExpression: The stored condition does not compile any more.
    """
    node = _read_condition(match, expression)
    return () if node is None else _read_values(node, bound, incoming)


def _read_condition(match: str, expression: str) -> Node | None:
    if match:
        pieces = split_path(match)
        return nodes.Compare("==", nodes.Path("async", pieces), nodes.Path("event", pieces))
    return compile_expression(expression, allow_async=True).root if expression else None


def _find(node: Node, wanted: bool, bound: Event, incoming: Event) -> Iterator[Unmet]:
    value, error = _decide(node, bound, incoming)
    if not error and value is wanted:
        return
    parts = _split(node, wanted, bound, incoming)
    if not parts:
        yield _describe(node, wanted, error, bound, incoming)
    for part, part_wanted in parts:
        yield from _find(part, part_wanted, bound, incoming)


def _decide(node: Node, bound: Event, incoming: Event) -> tuple[Any, str]:
    return run_bounded(lambda: require_bool(build(node)(Scope(bound, incoming))))


def _split(node: Node, wanted: bool, bound: Event, incoming: Event) -> list[tuple[Node, bool]]:
    if isinstance(node, nodes.Not):
        return [(node.inner, not wanted)]
    if isinstance(node, (nodes.And, nodes.Or)):
        return [(item, wanted) for item in node.items]
    if isinstance(node, nodes.Choice):
        chosen, error = _decide(node.condition, bound, incoming)
        return [(node.condition, True)] if error else [(node.then if chosen else node.otherwise, wanted)]
    return []


def _describe(node: Node, wanted: bool, error: str, bound: Event, incoming: Event) -> Unmet:
    text = write(node)
    return Unmet(text if wanted else f"!({text})", error, _read_values(node, bound, incoming))


def _read_values(node: Node, bound: Event, incoming: Event) -> tuple[Read, ...]:
    return (
        *_read("event", bound, nodes.read_paths(node, "event")),
        *_read("async", incoming, nodes.read_paths(node, "async")),
    )


def _read(root: str, event: Event, paths: Paths) -> Iterator[Read]:
    masked = redact(prune(event, paths))
    for path in paths:
        found = follow_safely(event, path) is not MISSING
        yield Read(".".join((root, *path)), _follow_masked(masked, path) if found else None, found)


def _follow_masked(value: Any, path: tuple[str, ...]) -> Any:
    for piece in path:
        if not isinstance(value, Mapping) or piece not in value:
            return value  # a mask in place of what holds the field
        value = value[piece]
    return value
