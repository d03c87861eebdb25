"""The parser's tree to checked nodes, by allow-list: what is not named here is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from . import cel_nodes as nodes
from .cel_functions import FUNCTIONS, check_arguments
from .cel_literals import read_float, read_int, read_string
from .cel_nodes import Node
from .cel_scan import Refused

MAX_NODES: Final = 400
MAX_DEPTH: Final = 64
MAX_MACROS: Final = 2  # one inside the other

_WRAPPERS: Final = frozenset(
    "expr conditionalor conditionaland relation addition multiplication unary member primary".split()
)
_COMPARISONS: Final[dict[str, nodes.Comparison]] = {
    "relation_eq": "==",
    "relation_ne": "!=",
    "relation_lt": "<",
    "relation_le": "<=",
    "relation_gt": ">",
    "relation_ge": ">=",
    "relation_in": "in",
}
_OPERATIONS: Final[dict[str, nodes.Operation]] = {
    "addition_add": "+",
    "addition_sub": "-",
    "multiplication_mul": "*",
    "multiplication_div": "/",
    "multiplication_mod": "%",
}
_MACROS: Final[dict[str, nodes.MacroName]] = {
    "all": "all",
    "exists": "exists",
    "exists_one": "exists_one",
    "filter": "filter",
    "map": "map",
}
_LITERALS: Final[dict[str, Callable[[str], Any]]] = {
    "STRING_LIT": read_string,
    "MLSTRING_LIT": read_string,
    "INT_LIT": read_int,
    "FLOAT_LIT": read_float,
    "BOOL_LIT": lambda text: text == "true",
    "NULL_LIT": lambda text: None,
}
_REFUSED: Final = {
    "member_object": "objects cannot be constructed",
    "dot_ident": "a name cannot start with a dot",
    "dot_ident_arg": "a name cannot start with a dot",
    "UINT_LIT": "unsigned numbers are not supported",
    "BYTES_LIT": "byte literals are not supported",
}


def read_tree(tree: Any, *, allow_async: bool) -> Node:
    """Return the checked nodes of a parsed expression.

    Args:
        tree: what the parser returned.
        allow_async: whether the variable ``async`` exists here.

    Raises:
        Refused: something in it is not allowed.
    """
    return _Reader(allow_async).read(tree)


class _Reader:
    def __init__(self, allow_async: bool) -> None:
        self.names = ("event", "async") if allow_async else ("event",)
        self.variables: list[str] = []
        self.count, self.depth = 0, 0

    def read(self, tree: Any) -> Node:
        self.count += 1
        if self.count > MAX_NODES:
            raise Refused(_column(tree), f"it has more than {MAX_NODES} parts")
        if self.depth >= MAX_DEPTH:
            raise Refused(_column(tree), f"it nests deeper than {MAX_DEPTH}")
        self.depth += 1
        node = self.dispatch(_strip(tree))
        self.depth -= 1
        return node

    def dispatch(self, tree: Any) -> Node:
        kind = str(tree.data)
        if kind in _REFUSED:
            raise Refused(_column(tree), _REFUSED[kind])
        read: Callable[[Any], Node] = getattr(self, f"read_{kind}")
        return read(tree)

    def read_expr(self, tree: Any) -> Node:
        condition, then, otherwise = tree.children
        return nodes.Choice(self.read(condition), self.read(then), self.read(otherwise))

    def read_conditionalor(self, tree: Any) -> Node:
        return nodes.Or(self.chain(tree))

    def read_conditionaland(self, tree: Any) -> Node:
        return nodes.And(self.chain(tree))

    def chain(self, tree: Any) -> tuple[Node, ...]:
        kind, items = tree.data, []
        while tree.data == kind and len(tree.children) == 2:
            items.append(tree.children[1])
            tree = tree.children[0]
        return tuple(self.read(item) for item in [tree, *reversed(items)])

    def read_relation(self, tree: Any) -> Node:
        left, right = tree.children
        name = _COMPARISONS[left.data]
        return nodes.Compare(name, self.read(left.children[0]), self.read(right))

    def read_addition(self, tree: Any) -> Node:
        left, right = tree.children
        return nodes.Arithmetic(_OPERATIONS[left.data], self.read(left.children[0]), self.read(right))

    read_multiplication = read_addition

    def read_unary(self, tree: Any) -> Node:
        sign, inner = tree.children
        return nodes.Not(self.read(inner)) if sign.data == "unary_not" else nodes.Negative(self.read(inner))

    def read_paren_expr(self, tree: Any) -> Node:
        return self.read(tree.children[0])

    def read_literal(self, tree: Any) -> Node:
        token = tree.children[0]
        if token.type in _REFUSED:
            raise Refused(_column(token), _REFUSED[token.type])
        try:
            return nodes.Constant(_LITERALS[token.type](str(token)))
        except ValueError as error:
            raise Refused(_column(token), str(error)) from error

    def read_list_lit(self, tree: Any) -> Node:
        return nodes.ListOf(tuple(self.read(item) for item in _arguments(tree.children)))

    def read_map_lit(self, tree: Any) -> Node:
        parts = tree.children[0].children if tree.children else []
        keys = [self.read(key) for key in parts[::2]]
        for key, part in zip(keys, parts[::2], strict=True):
            if not isinstance(key, nodes.Constant) or not isinstance(key.value, str):
                raise Refused(_column(part), "the key of a map must be a text literal")
        names = tuple(key.value for key in keys if isinstance(key, nodes.Constant))
        if len(set(names)) < len(names):
            raise Refused(_column(tree), "a key of this map occurs twice")
        return nodes.MapOf(names, tuple(self.read(part) for part in parts[1::2]))

    def read_ident(self, tree: Any) -> Node:
        name = str(tree.children[0])
        if name in self.variables:
            return nodes.Path(len(self.variables) - 1 - self.variables[::-1].index(name), ())
        if name in self.names:
            return nodes.Path(name, ())
        if name == "async":
            raise Refused(_column(tree), "`async` exists only in waits and cancel rules")
        raise Refused(_column(tree), f"the name {name[:40]!r} is not known; fields start with `event.`")

    def read_member_dot(self, tree: Any) -> Node:
        names = []
        while tree.data == "member_dot":
            names.append(tree.children[1])
            tree = _strip(tree.children[0])
        self.count += len(names)
        node = self.read(tree)
        for name in reversed(names):
            node = _select(node, str(name))
        return node

    def read_member_index(self, tree: Any) -> Node:
        target, index = (self.read(child) for child in tree.children)
        if isinstance(index, nodes.Constant) and isinstance(index.value, str):
            return _select(target, index.value)
        return nodes.Index(target, index)

    def read_member_dot_arg(self, tree: Any) -> Node:
        target, name, *rest = tree.children
        if name in _MACROS:
            return self.macro(tree, target, _MACROS[name], _arguments(rest))
        return self.call(name, [target, *_arguments(rest)], method=True)

    def read_ident_arg(self, tree: Any) -> Node:
        name, *rest = tree.children
        if name == "has":
            return self.has(tree, _arguments(rest))
        return self.call(name, _arguments(rest), method=False)

    def call(self, name: Any, trees: list[Any], *, method: bool) -> Node:
        function = FUNCTIONS.get(str(name))
        if function is None:
            raise Refused(_column(name), f"the function {str(name)[:40]!r} is not available")
        arguments = tuple(self.read(tree) for tree in trees)
        problem = check_arguments(function, arguments, method=method)
        if problem:
            raise Refused(_column(name), f"{name}() {problem}")
        return nodes.Call(str(name), arguments)

    def has(self, tree: Any, arguments: Any) -> Node:
        if len(arguments) != 1 or _strip(arguments[0]).data != "member_dot":
            raise Refused(_column(tree), "has() takes one field, as in has(event.data.x)")
        return nodes.Has(self.read(arguments[0]))

    def macro(self, tree: Any, target: Any, name: nodes.MacroName, arguments: Any) -> Node:
        variable = _strip(arguments[0]) if len(arguments) == 2 else None
        if variable is None or variable.data != "ident" or variable.children[0] in ("event", "async"):
            raise Refused(_column(tree), f"{name}() takes the name of a variable and an expression")
        if len(self.variables) >= MAX_MACROS:
            raise Refused(_column(tree), f"more than {MAX_MACROS} macros inside each other")
        over = self.read(target)
        self.variables.append(str(variable.children[0]))
        body = self.read(arguments[1])
        self.variables.pop()
        return nodes.Macro(name, over, len(self.variables), body)


def _arguments(rest: list[Any]) -> list[Any]:
    return list(rest[0].children) if rest else []


def _strip(tree: Any) -> Any:
    while tree.data in _WRAPPERS and len(tree.children) == 1:
        tree = tree.children[0]
    return tree


def _select(target: Node, name: str) -> Node:
    if isinstance(target, nodes.Path):
        return nodes.Path(target.root, (*target.pieces, name))
    return nodes.Select(target, name)


def _column(tree: Any) -> int:
    while hasattr(tree, "children") and tree.children:
        tree = tree.children[0]
    return int(getattr(tree, "start_pos", None) or 0) + 1
