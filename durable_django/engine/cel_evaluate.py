"""Checked nodes to closures over plain values, with the three-valued logic of the specification.

`&&` is false if a side is false, even if the other side fails; only without that does the failure count. The
same holds for `||` and true. Straight code is bounded by the size of the expression, so only macros and work
that grows with the data are charged to the budget.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from . import cel_nodes as nodes
from .cel_functions import FUNCTIONS
from .cel_macros import MACROS, Turn
from .cel_nodes import Node
from .cel_operators import ARITHMETIC, ORDERING, negate, order
from .cel_values import MISSING, Fault, Meter, contained, equal, follow, index

BUDGET: Final = 64_000  # operator calls of one evaluation; `python -m tests.bombs` shows what they cost


class Scope(Meter):
    """The variables and the remaining budget of one evaluation."""

    __slots__ = ("names", "variables")

    def __init__(self, event: Mapping[str, Any], incoming: Mapping[str, Any] | None) -> None:
        super().__init__(BUDGET)
        self.names: dict[str, Mapping[str, Any]] = {"event": event, "async": incoming or {}}
        self.variables: list[Any] = [None, None]


Code = Callable[[Scope], Any]


def build(node: Node) -> Code:
    """Return the function that computes a node; it raises Fault and Exhausted, nothing else."""
    return _BUILDERS[type(node)](node)


def require_bool(value: Any) -> bool:
    """Return the value if it is a bool; raise Fault otherwise, since nothing else is a truth."""
    if value is True or value is False:
        return bool(value)
    raise Fault("not_bool")


def _constant(node: nodes.Constant) -> Code:
    return lambda scope: node.value


def _path(node: nodes.Path) -> Code:
    root, pieces = node.root, node.pieces
    if isinstance(root, int):
        return lambda scope: follow(scope.variables[root], pieces)
    return lambda scope: follow(scope.names[root], pieces)


def _select(node: nodes.Select) -> Code:
    target, pieces = build(node.target), (node.name,)
    return lambda scope: follow(target(scope), pieces)


def _index(node: nodes.Index) -> Code:
    target, key = build(node.target), build(node.index)
    return lambda scope: index(target(scope), key(scope))


def _has(node: nodes.Has) -> Code:
    field = build(node.field)
    return lambda scope: field(scope) is not MISSING


def _call(node: nodes.Call) -> Code:
    call = FUNCTIONS[node.name].call
    arguments = tuple(build(argument) for argument in node.arguments)
    return lambda scope: call(scope, *(argument(scope) for argument in arguments))


def _not(node: nodes.Not) -> Code:
    inner = build(node.inner)
    return lambda scope: not require_bool(inner(scope))


def _negative(node: nodes.Negative) -> Code:
    inner = build(node.inner)
    return lambda scope: negate(inner(scope))


def _and(node: nodes.And) -> Code:
    items = tuple(build(item) for item in node.items)
    return lambda scope: _decide(scope, items, False)


def _or(node: nodes.Or) -> Code:
    items = tuple(build(item) for item in node.items)
    return lambda scope: _decide(scope, items, True)


def _decide(scope: Scope, items: tuple[Code, ...], decisive: bool) -> bool:
    code = ""
    for item in items:
        try:
            if require_bool(item(scope)) is decisive:
                return decisive
        except Fault as fault:
            code = code or fault.code
    if code:
        raise Fault(code)
    return not decisive


def _choice(node: nodes.Choice) -> Code:
    condition, then, otherwise = build(node.condition), build(node.then), build(node.otherwise)
    return lambda scope: then(scope) if require_bool(condition(scope)) else otherwise(scope)


def _compare(node: nodes.Compare) -> Code:
    left, right = build(node.left), build(node.right)
    if node.name == "in":
        return lambda scope: contained(scope, left(scope), right(scope))
    if node.name in ("==", "!="):
        same = _equality(node, left, right)
        return same if node.name == "==" else lambda scope: not same(scope)
    return _ordering(ORDERING[node.name], left, right)


def _ordering(test: Callable[[int], bool], left: Code, right: Code) -> Code:
    def compare(scope: Scope) -> bool:
        sign = order(left(scope), right(scope))
        return sign is not None and test(sign)

    return compare


def _equality(node: nodes.Compare, left: Code, right: Code) -> Code:
    written = (nodes.is_constant(node.left), nodes.is_constant(node.right))
    if not any(written):
        return lambda scope: equal(scope, left(scope), right(scope))

    # A null that the author wrote out is met by absence; a null that a field holds is not.
    def compare(scope: Scope) -> bool:
        one, other = left(scope), right(scope)
        if one is MISSING or other is MISSING:
            return (other is None and written[1]) or (one is None and written[0])
        return equal(scope, one, other)

    return compare


def _arithmetic(node: nodes.Arithmetic) -> Code:
    left, right, operate = build(node.left), build(node.right), ARITHMETIC[node.name]
    return lambda scope: operate(scope, left(scope), right(scope))


def _list(node: nodes.ListOf) -> Code:
    items = tuple(build(item) for item in node.items)
    return lambda scope: [item(scope) for item in items]


def _map(node: nodes.MapOf) -> Code:
    pairs = tuple((key, build(item)) for key, item in zip(node.keys, node.items, strict=True))
    return lambda scope: {key: item(scope) for key, item in pairs}


def _macro(node: nodes.Macro) -> Code:
    target, run = build(node.target), MACROS[node.name]
    loop = _loop(node)

    def call(scope: Scope) -> Any:
        over = target(scope)
        if over is None or over is MISSING:
            return [] if node.name in ("filter", "map") else False
        if not isinstance(over, (list, dict)):
            raise Fault("type_mismatch")
        return run(loop(scope, list(over)))

    return call


def _loop(node: nodes.Macro) -> Callable[[Scope, list[Any]], Iterator[Turn]]:
    body, cost, depth = build(node.body), 2 + sum(1 for _ in nodes.walk(node.body)), node.depth

    def loop(scope: Scope, items: list[Any]) -> Iterator[Turn]:
        for item in items:
            scope.spend(cost)
            scope.variables[depth] = item
            try:
                yield item, body(scope)
            except Fault as fault:
                yield item, fault

    return loop


_BUILDERS: Final[dict[type[Node], Callable[[Any], Code]]] = {
    nodes.Constant: _constant,
    nodes.Path: _path,
    nodes.Select: _select,
    nodes.Index: _index,
    nodes.Has: _has,
    nodes.Call: _call,
    nodes.Not: _not,
    nodes.Negative: _negative,
    nodes.And: _and,
    nodes.Or: _or,
    nodes.Choice: _choice,
    nodes.Compare: _compare,
    nodes.Arithmetic: _arithmetic,
    nodes.ListOf: _list,
    nodes.MapOf: _map,
    nodes.Macro: _macro,
}
