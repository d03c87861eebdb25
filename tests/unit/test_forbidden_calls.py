"""What the package never does, read from its source: no input can become code (docs/guarantees.md, P12)."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import durable_django

ROOT = Path(durable_django.__file__).parent
MODULES = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "yaml", "jsonpickle"}
CALLS = {"eval", "exec", "compile", "__import__", "mark_safe", "SafeString"}


def list_forbidden(path: Path, tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.partition(".")[0] in MODULES)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in MODULES:
            yield str(node.module)
        elif isinstance(node, ast.Call):
            name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            builtin = isinstance(node.func, ast.Name)
            if name in CALLS and (builtin or name in {"mark_safe", "SafeString"}):
                yield name
            yield from (
                "shell=True"
                for each in node.keywords
                if each.arg == "shell" and getattr(each.value, "value", False) is True
            )


def test_nothing_turns_data_into_code() -> None:
    """No pickle and its like, no eval, no shell, no markup that is declared safe, in the whole package."""
    found = [
        f"{path.relative_to(ROOT)}: {what}"
        for path in sorted(ROOT.rglob("*.py"))
        for what in list_forbidden(path, ast.parse(path.read_text()))
    ]
    assert found == []


def test_no_template_switches_escaping_off() -> None:
    """Every value in a template is escaped."""
    templates = list((ROOT / "templates").rglob("*"))
    assert templates
    found = [
        str(path.relative_to(ROOT))
        for path in templates
        if path.is_file() and any(word in path.read_text() for word in ("|safe", "autoescape off", "safeseq"))
    ]
    assert found == []
