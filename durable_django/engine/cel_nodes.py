"""The parts of a checked expression; immutable, and free of the parser that read them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any, Literal

Paths = tuple[tuple[str, ...], ...]
Comparison = Literal["==", "!=", "<", "<=", ">", ">=", "in"]
Operation = Literal["+", "-", "*", "/", "%"]
MacroName = Literal["all", "exists", "exists_one", "filter", "map"]


@dataclass(frozen=True, slots=True)
class Node:
    """Base of all parts."""


@dataclass(frozen=True, slots=True)
class Constant(Node):
    value: Any


@dataclass(frozen=True, slots=True)
class Path(Node):
    """A chain of names; ``root`` is "event", "async", or the depth of a macro variable."""

    root: str | int
    pieces: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Select(Node):
    target: Node
    name: str


@dataclass(frozen=True, slots=True)
class Index(Node):
    target: Node
    index: Node


@dataclass(frozen=True, slots=True)
class Has(Node):
    field: Node


@dataclass(frozen=True, slots=True)
class Call(Node):
    name: str
    arguments: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Not(Node):
    inner: Node


@dataclass(frozen=True, slots=True)
class Negative(Node):
    inner: Node


@dataclass(frozen=True, slots=True)
class And(Node):
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Or(Node):
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Choice(Node):
    condition: Node
    then: Node
    otherwise: Node


@dataclass(frozen=True, slots=True)
class Compare(Node):
    name: Comparison
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Arithmetic(Node):
    name: Operation
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class ListOf(Node):
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class MapOf(Node):
    keys: tuple[str, ...]
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Macro(Node):
    name: MacroName
    target: Node
    depth: int
    body: Node


def walk(node: Node) -> Iterator[Node]:
    """Yield the node and everything below it."""
    yield node
    for field in fields(node):
        value = getattr(node, field.name)
        for part in value if isinstance(value, tuple) else (value,):
            if isinstance(part, Node):
                yield from walk(part)


def reads(node: Node, root: str) -> bool:
    """Tell whether the node reads the variable ``root``."""
    return any(isinstance(part, Path) and part.root == root for part in walk(node))


def is_constant(node: Node) -> bool:
    """Tell whether the node reads no variable at all."""
    return not any(isinstance(part, Path) for part in walk(node))


def read_paths(node: Node, root: str) -> Paths:
    """Return the shortest paths below ``root`` that hold everything the node reads, sorted."""
    found = {part.pieces for part in walk(node) if isinstance(part, Path) and part.root == root}
    return tuple(sorted(path for path in found if not any(path[:n] in found for n in range(len(path)))))
