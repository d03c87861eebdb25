"""An operator's action on runs of a command line: each run by itself, the failures told at the end."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Callable
from typing import Any

from django.core.management.base import CommandError

from ..engine.alias import get_alias
from ..engine.handle import RunHandle
from ..exceptions import DurableError
from .actor import get_actor
from .console import Console
from .rows import find_run

Operation = Callable[..., RunHandle]


def add_run_arguments(parser: ArgumentParser) -> None:
    """Add the ids and the reason."""
    parser.add_argument(
        "runs", nargs="+", metavar="run", help="a run's id, or 6 or more characters of a recent one's"
    )
    parser.add_argument("--reason", default="", help="why; kept in the operator log")


def operate(console: Console, options: dict[str, Any], operation: Operation, done: str) -> None:
    """Act on every run, as the operating system's user.

    Args:
        operation: one of the engine's operations.
        done: what the line says before the run's id.

    Raises:
        CommandError: Some were refused; the others are done.
    """
    results = [_act(text, options["reason"], operation) for text in options["runs"]]
    if console.as_json:
        console.data(results)
    for result in results:
        if result["error"] is None and not console.as_json:
            console.line(f"{done} {result['workflow']} {result['run']}, now {result['status']}.")
    errors = [result["error"] for result in results if result["error"] is not None]
    if errors:
        raise CommandError("\n".join(errors))


def _act(text: str, reason: str, operation: Operation) -> dict[str, Any]:
    using = get_alias()
    try:
        run = find_run(using, text)
        handle = operation(run.id, actor=get_actor(), reason=reason, using=using)
        status = handle.status
    except (DurableError, CommandError) as error:
        return {"given": text, "run": None, "workflow": None, "status": None, "error": str(error)}
    return {"given": text, "run": handle.id, "workflow": run.workflow, "status": status, "error": None}
