"""Parts of a checked expression as text again, for people."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

from . import cel_nodes as nodes
from .cel_nodes import Node


def write(node: Node) -> str:
    """Return text that means the node; brackets and names of macro variables are not those of the source."""
    return _WRITERS[type(node)](node)


def _path(node: nodes.Path) -> str:
    root = f"v{node.root}" if isinstance(node.root, int) else node.root
    return ".".join((root, *node.pieces))


def _joined(sign: str) -> Callable[[Any], str]:
    return lambda node: f"({f' {sign} '.join(map(write, node.items))})"


def _binary(node: nodes.Compare | nodes.Arithmetic) -> str:
    text = f"{write(node.left)} {node.name} {write(node.right)}"
    return text if isinstance(node, nodes.Compare) else f"({text})"


def _map(node: nodes.MapOf) -> str:
    parts = zip(node.keys, node.items, strict=True)
    return (
        "{" + ", ".join(f"{json.dumps(key, ensure_ascii=False)}: {write(item)}" for key, item in parts) + "}"
    )


_WRITERS: Final[dict[type[Node], Callable[[Any], str]]] = {
    nodes.Constant: lambda node: json.dumps(node.value, ensure_ascii=False, default=str),
    nodes.Path: _path,
    nodes.Select: lambda node: f"{write(node.target)}.{node.name}",
    nodes.Index: lambda node: f"{write(node.target)}[{write(node.index)}]",
    nodes.Has: lambda node: f"has({write(node.field)})",
    nodes.Call: lambda node: f"{node.name}({', '.join(map(write, node.arguments))})",
    nodes.Not: lambda node: f"!({write(node.inner)})",
    nodes.Negative: lambda node: f"-({write(node.inner)})",
    nodes.And: _joined("&&"),
    nodes.Or: _joined("||"),
    nodes.Choice: lambda node: f"({write(node.condition)} ? {write(node.then)} : {write(node.otherwise)})",
    nodes.Compare: _binary,
    nodes.Arithmetic: _binary,
    nodes.ListOf: lambda node: f"[{', '.join(map(write, node.items))}]",
    nodes.MapOf: _map,
    nodes.Macro: lambda node: f"{write(node.target)}.{node.name}(v{node.depth}, {write(node.body)})",
}
