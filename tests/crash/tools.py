"""Which scenes use which step tool: what no scene uses is killed nowhere."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from durable_django.define.ai_tools import AiTools
from durable_django.define.context import Context, GroupTools, StepTools
from tests.crash.scene import ROOMS

SAME = {"invoke": "invoke_by_id"}
"""Tools that only call another one."""
VARIANTS = ("atomic=", "mode=", "where=", "since=", "durability=", "cancel_on=", "on_failure=", "on_cancel=")
"""Options that make a tool, or a run, write other rows."""
PARTS = ("ctx.step", "ctx.step.ai", "ctx.group", "ctx")


def list_tools() -> list[str]:
    """Return the tools of the context, as code writes them, and the options that a scene must have used."""
    owners = (StepTools, AiTools, GroupTools, Context)
    found = [
        f"{part}.{SAME.get(name, name)}"
        for part, owner in zip(PARTS, owners, strict=True)
        for name, member in vars(owner).items()
        if callable(member) and not name.startswith("_")
    ]
    return sorted({*found, *VARIANTS})


def find_scenes() -> dict[str, list[str]]:
    """Return the names of the scenes that use each tool."""
    found: dict[str, list[str]] = {tool: [] for tool in list_tools()}
    for scene, node in _read_scenes():
        for used in sorted(set(_find_uses(node)) & found.keys()):
            found[used].append(scene)
    return found


def _read_scenes() -> Iterator[tuple[str, ast.FunctionDef]]:
    for room in ROOMS:
        tree = ast.parse((Path(__file__).parent / f"{room}.py").read_text())
        for node in tree.body:
            if not isinstance(node, ast.FunctionDef):
                continue
            for given in node.decorator_list:
                if isinstance(given, ast.Call) and ast.unparse(given.func) == "add":
                    yield str(ast.literal_eval(given.args[0])), node


def _find_uses(scene: ast.FunctionDef) -> Iterator[str]:
    for node in ast.walk(scene):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func)
            yield from (f"{each.arg}=" for each in node.keywords)
