"""Where the code has a step and with which options, read from its source; nothing is executed.

Note [A step is found by its id in the source]
    A step has no place before it is called, and what calls it may be any function. So the id is looked for as the
    first argument of a step tool, or as the name of a function with ``@step``, in the file of the workflow and in
    those of declared steps. An id that is made at run time from more than an f-string is not found.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from ..define.step_index import list_functions
from ..define.workflow import Workflow

TOOLS: Final = {
    "run": ("run",),
    "sleep": ("sleep", "sleep_until"),
    "event": ("wait_for_event",),
    "signal": ("wait_for_signal",),
    "any": ("wait_for_any",),
    "all": ("wait_for_all",),
    "send": ("send_event",),
    "invoke": ("invoke",),
    "fetch": ("fetch",),
    "infer": ("infer",),
    "wrap": ("wrap",),
}
"""The kind of a step, and the tools that make one."""
OPTIONS: Final = (
    *("retries", "backoff", "timeout", "atomic", "output_type", "since"),
    *("event", "match", "if_exp", "signal", "on_conflict", "function"),
)
LONGEST: Final = 80
FILES: Final = 64


@dataclass(frozen=True, slots=True)
class StepCode:
    """A place in the code, and the options that stand there as they are written."""

    where: str
    options: Sequence[tuple[str, str]]

    def read_retries(self) -> int | None:
        """Return the number of retries that is declared there, if it is a plain number."""
        text = dict(self.options).get("retries", "")
        return int(text) if text.isdecimal() else None


@dataclass(frozen=True, slots=True)
class _Place:
    line: int
    tool: str
    name: str
    """A regular expression that the id of the step meets."""
    options: tuple[tuple[str, str], ...]


def find_step_code(workflow: Workflow[Any, Any], name: str, kind: str) -> StepCode | None:
    """Return where the code has the step, or None if its source does not tell."""
    function = inspect.unwrap(workflow.function)
    code = function.__code__
    inside = range(code.co_firstlineno, code.co_firstlineno + _count_lines(function))
    found = _match(_read(code.co_filename), name, TOOLS.get(kind, ()))
    place = min(found, key=lambda each: (each.line not in inside, each.line), default=None)
    if place is not None:
        return StepCode(f"{function.__module__} ({code.co_filename}:{place.line})", place.options)
    return _find_declared(name) if kind == "run" else None


def _find_declared(name: str) -> StepCode | None:
    for function in list_functions():
        path = function.__code__.co_filename
        for place in _match(_read(path), name, ("@step",)):
            return StepCode(f"{function.__module__} ({path}:{place.line})", place.options)
    return None


def _match(places: Iterable[_Place], name: str, tools: Sequence[str]) -> list[_Place]:
    wanted = (*tools, "@step") if "run" in tools else tools
    return [each for each in places if each.tool in wanted and re.fullmatch(each.name, name, re.DOTALL)]


def _count_lines(function: Any) -> int:
    last = max((line for _start, _end, line in function.__code__.co_lines() if line), default=0)
    return int(last) - int(function.__code__.co_firstlineno) + 1


def _read(path: str) -> tuple[_Place, ...]:
    try:
        return _parse(path, Path(path).stat().st_mtime_ns)
    except (OSError, SyntaxError, ValueError):  # the source is elsewhere, or is no Python
        return ()


@lru_cache(maxsize=FILES)
def _parse(path: str, _changed: int) -> tuple[_Place, ...]:
    return tuple(_walk(ast.parse(Path(path).read_text(encoding="utf-8"))))


def _walk(tree: ast.AST) -> Iterator[_Place]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
            if pattern := _write_pattern(node.args[0]):
                yield _Place(node.lineno, node.func.attr, pattern, _list_options(node))
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _read_decorators(node)


def _read_decorators(node: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[_Place]:
    for each in node.decorator_list:
        called = each.func if isinstance(each, ast.Call) else each
        name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
        if name != "step":
            continue
        options = _list_options(each) if isinstance(each, ast.Call) else ()
        given = [word.value for word in getattr(each, "keywords", ()) if word.arg == "id"]
        pattern = _write_pattern(given[0]) if given else re.escape(node.name)
        yield _Place(node.lineno, "@step", pattern, options)


def _write_pattern(node: ast.AST) -> str:
    """Return a pattern for a text or an f-string, empty for anything else."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return re.escape(node.value)
    if isinstance(node, ast.JoinedStr):
        parts = [_write_pattern(each) if isinstance(each, ast.Constant) else ".*" for each in node.values]
        return "".join(parts) if any(part not in ("", ".*") for part in parts) else ""
    return ""


def _list_options(node: ast.Call) -> tuple[tuple[str, str], ...]:
    found = [(each.arg, ast.unparse(each.value)) for each in node.keywords if each.arg in OPTIONS]
    return tuple((str(name), text if len(text) <= LONGEST else f"{text[:LONGEST]}…") for name, text in found)
