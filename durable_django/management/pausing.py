"""Pausing and resuming as verbs: what both have in common."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Callable
from typing import Any

from ..engine.alias import get_alias
from ..models import AuditEntry, WorkflowState
from .actor import get_actor
from .console import Console
from .operate import add_reason
from .rehearse import add_dry_run, carry_out


def add_workflow_arguments(parser: ArgumentParser) -> None:
    """Add the workflow, the reason and ``--dry-run``."""
    parser.add_argument("workflow", help="the workflow's id")
    add_reason(parser)
    add_dry_run(parser)


def act_on_workflow(
    console: Console, options: dict[str, Any], operation: Callable[..., WorkflowState], **more: Any
) -> None:
    """Do it, and print the workflow as it is then, with what the operator log says of it."""
    using = get_alias()

    def act() -> dict[str, Any]:
        who = {"actor": get_actor(), "reason": options["reason"], "using": using}
        state = operation(options["workflow"], **who, **more)
        entry = AuditEntry.objects.using(using).filter(workflow=state.id).order_by("-id")[0]
        return {
            "workflow": state.id,
            "paused_at": state.paused_at,
            "paused_by": state.paused_by or None,
            "running": state.pause_running or None,
            "new": state.pause_new or None,
            "result": entry.result,
        }

    found = carry_out(using, act, dry_run=options["dry_run"])
    if console.as_json:
        console.data({**found, "dry_run": options["dry_run"]})
        return
    what = "paused" if found["paused_at"] else "resumed"
    lead = "Nothing was done; it would be " if options["dry_run"] else ""
    console.line(f"{lead}{what if lead else what.capitalize()} {found['workflow']}: {found['result']}.")
