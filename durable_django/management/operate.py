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
from .rehearse import add_dry_run, carry_out
from .rows import find_run

Operation = Callable[..., RunHandle]


def add_run_arguments(parser: ArgumentParser, *, needed: bool = True) -> None:
    """Add the ids, the reason and ``--dry-run``."""
    parser.add_argument(
        "runs",
        nargs="+" if needed else "*",
        metavar="run",
        help="a run's id, or 6 or more characters of a recent one's",
    )
    add_reason(parser)
    add_dry_run(parser)


def add_reason(parser: ArgumentParser) -> None:
    """Add the reason."""
    parser.add_argument("--reason", default="", help="why; kept in the operator log")


def operate(console: Console, options: dict[str, Any], operation: Operation, done: str, **more: Any) -> None:
    """Act on every run, as the operating system's user.

    Args:
        operation: one of the engine's operations.
        done: what the line says before the run's id.
        more: what the operation is given besides.

    Raises:
        CommandError: Some were refused; the others are done.
    """
    results = [_act(text, options, operation, more) for text in options["runs"]]
    if console.as_json:
        console.data(results)
    for result in results:
        if result["error"] is None and not console.as_json:
            console.line(_say(done, result, dry_run=options["dry_run"]))
    errors = [result["error"] for result in results if result["error"] is not None]
    if errors:
        raise CommandError("\n".join(errors))


def _say(done: str, result: dict[str, Any], *, dry_run: bool) -> str:
    if dry_run:
        return f"Nothing was done. {done} {result['workflow']}: the run would be {result['status']}."
    return f"{done} {result['workflow']} {result['run']}, now {result['status']}."


def _act(text: str, options: dict[str, Any], operation: Operation, more: dict[str, Any]) -> dict[str, Any]:
    using = get_alias()

    def act() -> tuple[str, str, str]:
        run = find_run(using, text)
        who = {"actor": get_actor(), "reason": options["reason"], "using": using}
        handle = operation(run.id, **who, **more)
        return handle.id, run.workflow, handle.status

    try:
        run_id, workflow, status = carry_out(using, act, dry_run=options["dry_run"])
    except (DurableError, CommandError) as error:
        return {"given": text, "run": None, "workflow": None, "status": None, "error": str(error)}
    return {"given": text, "run": run_id, "workflow": workflow, "status": status, "error": None}
