"""``durable workflows``: the workflows of this project, and those that the database knows besides."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from ...define.registry import registry
from ...engine.alias import get_alias
from ...engine.report_workflows import describe_options, describe_workflow
from ...models import WorkflowState
from ..console import Console

HELP = "list workflows"


def add_arguments(parser: ArgumentParser) -> None:
    """Add the filter."""
    parser.add_argument("--paused", action="store_true", help="only those that are paused")


def handle(console: Console, options: dict[str, Any]) -> None:
    """Print a line a workflow."""
    states = {state.id: state for state in WorkflowState.objects.using(get_alias()).all()}
    known = sorted({*states, *(each.id for each in registry)})
    found = [_as_dict(name, states.get(name)) for name in known]
    shown = [each for each in found if each["paused"] or not options["paused"]]
    if console.as_json:
        console.data(shown)
        return
    if not shown:
        console.line("No workflow is paused." if options["paused"] else "No workflow is declared.")
        return
    rows = (
        (
            each["id"],
            _say_state(each),
            each["version"] or "-",
            ", ".join(each["options"].get("triggers", [])) or "-",
            each["place"] or "-",
        )
        for each in shown
    )
    console.table([("ID", "STATE", "VERSION", "TRIGGERS", "PLACE"), *rows])


def _as_dict(id: str, state: WorkflowState | None) -> dict[str, Any]:
    workflow = registry.find(id)
    row = describe_workflow(workflow) if workflow is not None else None
    place = f"{row.file}:{row.line}" if row else f"{state.file}:{state.line}" if state and state.file else ""
    paused = state is not None and state.paused_at is not None
    return {
        "id": id,
        "declared": workflow is not None,
        "version": row.version if row else state.version if state else "",
        "place": place or None,
        "options": describe_options(workflow) if workflow is not None else {},
        "paused": paused,
        "paused_at": state.paused_at if state else None,
        "paused_by": state.paused_by if state and paused else None,
        "running": state.pause_running if state and paused else None,
        "new": state.pause_new if state and paused else None,
        "seen_at": state.seen_at if state else None,
    }


def _say_state(found: dict[str, Any]) -> str:
    if found["paused"]:
        return f"paused by {found['paused_by']}"
    return "declared" if found["declared"] else "no code here"
