"""CEL expressions: text to an immutable, thread-safe Expression that always ends, with true, false or a code.

Only the grammar is taken from celpy. Its evaluator is slow, leaks exceptions and event data, and knows no
absent fields, so `cel_evaluate` replaces it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any, Final

from ..exceptions import InvalidExpression
from . import cel_nodes as nodes
from .cel_evaluate import Code, Scope, build, require_bool
from .cel_functions import FUNCTIONS
from .cel_nodes import Node, Paths
from .cel_scan import MAX_LENGTH, Refused, check_length, scan
from .cel_tree import read_tree
from .cel_values import Exhausted, Fault, plain

logger = logging.getLogger("durable_django.expressions")

CACHED: Final = 1_000  # distinct expressions kept per process
_lock: Final = Lock()


@dataclass(frozen=True, slots=True)
class Outcome:
    """True, false, or an error code; it never holds event data."""

    value: bool
    error: str = ""


@dataclass(frozen=True, slots=True)
class Value:
    """A value in JSON types, or an error code."""

    value: Any
    error: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Expression:
    """A checked expression; ``event_paths`` are the fields of ``event`` that it reads."""

    source: str
    event_paths: Paths
    root: Node = field(repr=False)
    code: Code = field(repr=False)

    def evaluate(self, event: Mapping[str, Any], incoming: Mapping[str, Any] | None = None) -> Outcome:
        """Decide the expression; only a bool true matches.

        Args:
            event: the event called ``event``, with its keys id, name, data, ts.
            incoming: the event called ``async``.

        Returns:
            The outcome; no event makes it raise, and its work is bounded.
        """
        scope = Scope(event, incoming)
        value, error = run_bounded(lambda: require_bool(self.code(scope)))
        return Outcome(value is True, error)


def compile_expression(source: str, *, allow_async: bool, condition: bool = False) -> Expression:
    """Return the expression that a text means; the same object for the same text.

    Args:
        source: the CEL text, at most 2,000 characters.
        allow_async: whether it may read ``async``, as in waits and cancel rules.
        condition: whether it is refused when it can never be a bool.

    Raises:
        InvalidExpression: it does not compile, or uses something that is not allowed.
    """
    if not isinstance(source, str):
        raise InvalidExpression(source=type(source).__name__, column=1, reason="it is not text")
    try:
        check_length(source)  # before the cache, which must not keep long texts
        expression = _compile(source, bool(allow_async))
        if condition and is_never_bool(expression.root):
            raise Refused(1, "a condition must be true or false")
    except Refused as refused:
        shown = source if len(source) <= MAX_LENGTH else source[:80] + "…"
        raise InvalidExpression(source=shown, column=refused.column, reason=refused.reason) from None
    return expression


def evaluate_value(expression: Expression, event: Mapping[str, Any]) -> Value:
    """Return the value of a key or priority expression.

    Args:
        expression: what `compile_expression` returned.
        event: the event called ``event``.

    Returns:
        The value (a missing field is None) or an error code.
    """
    scope = Scope(event, None)
    return Value(*run_bounded(lambda: plain(expression.code(scope))))


def run_bounded(work: Callable[[], Any]) -> tuple[Any, str]:
    """Return what ``work`` returns and no code, or None and the code of its error."""
    try:
        return work(), ""
    except Fault as fault:
        return None, fault.code
    except Exhausted:
        return None, "budget"
    except RecursionError:
        return None, "too_deep"
    except Exception as error:  # noqa: BLE001 - a flaw of ours must not stop other waits from being matched
        logger.error("expression evaluation failed: %s", type(error).__name__)  # noqa: TRY400 - no event data
        return None, "internal"


def is_never_bool(node: Node) -> bool:
    """Tell whether no event can make the node true or false."""
    if isinstance(node, nodes.Constant):
        return not isinstance(node.value, bool)
    if isinstance(node, nodes.Choice):
        return is_never_bool(node.then) and is_never_bool(node.otherwise)
    if isinstance(node, nodes.Call):
        return FUNCTIONS[node.name].returns_bool is False
    if isinstance(node, nodes.Macro):
        return node.name in ("filter", "map")
    return isinstance(node, (nodes.Arithmetic, nodes.Negative, nodes.ListOf, nodes.MapOf))


def load_grammar() -> None:
    """Build the parser (0.2 s), so that a worker does it at its start and not in the first evaluation."""
    with _lock:
        _parser()


@lru_cache(maxsize=CACHED)
def _compile(source: str, allow_async: bool) -> Expression:
    root = _read(source, allow_async)
    return Expression(source, nodes.read_paths(root, "event"), root, build(root))


def _read(source: str, allow_async: bool) -> Node:
    scan(source)
    try:
        with _lock:
            tree = _parser()(source)
        return read_tree(tree, allow_async=allow_async)
    except RecursionError:
        raise Refused(1, "it nests too deeply") from None


@lru_cache(maxsize=1)
def _parser() -> Callable[[str], Any]:
    # Not celpy's own parser: that one belongs to the whole process, and making it lowers its recursion limit.
    import celpy
    import lark

    def literal(token: lark.Token) -> lark.Token:
        return lark.Token.new_borrow_pos("BOOL_LIT", token, token) if token in ("true", "false") else token

    grammar = Path(celpy.__file__).with_name("cel.lark").read_text(encoding="utf-8")
    parser = lark.Lark(
        grammar,
        parser="lalr",
        start="expr",
        maybe_placeholders=False,
        lexer_callbacks={"IDENT": literal},
    )

    def parse(source: str) -> Any:
        try:
            return parser.parse(source)
        except lark.UnexpectedInput as error:
            ended = isinstance(error, lark.UnexpectedToken) and error.token.type == "$END"
            at = len(source) if ended or error.pos_in_stream is None else error.pos_in_stream
            raise Refused(at + 1, "it does not follow the grammar of CEL here") from None

    return parse
