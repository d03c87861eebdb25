"""Let the database know which workflows this process has code for, where it stands and how it is configured."""

from __future__ import annotations

import inspect
import json
from typing import Any, Final

from ..define.registry import registry
from ..define.workflow import Workflow
from ..store.workflow import WorkflowRow, save_workflows

REPORT_SECONDS: Final = 600.0
"""How often a worker repeats its report; what was not seen for twice that time no live worker has."""
FILE, MODULE = 500, 255


def report_workflows(using: str) -> int:
    """Store what the code here says of its workflows; return how many there are."""
    rows = [describe_workflow(each) for each in registry]
    if rows:
        save_workflows(using, rows)
    return len(rows)


def describe_workflow(workflow: Workflow[Any, Any]) -> WorkflowRow:
    """Return a workflow as it is stored."""
    function = inspect.unwrap(workflow.function)
    code = getattr(function, "__code__", None)
    return WorkflowRow(
        id=workflow.id,
        module=f"{function.__module__}.{function.__qualname__}"[-MODULE:],
        file=code.co_filename[-FILE:] if code else "",
        line=code.co_firstlineno if code else 0,
        version=workflow.version,
        config=json.dumps(describe_options(workflow), default=str),
    )


def describe_options(workflow: Workflow[Any, Any]) -> dict[str, Any]:
    """Return the options of a workflow that differ from nothing, as JSON takes them."""
    limits = workflow.timeouts
    options = {
        "queue": workflow.queue,
        "retries": workflow.retries,
        "backoff": None if workflow.backoff is None else str(workflow.backoff),
        "durability": workflow.durability,
        "idempotency": workflow.idempotency,
        "start_within": limits.start_seconds if limits else None,
        "finish_within": limits.finish_seconds if limits else None,
        "cancel_on": [rule.event for rule in workflow.cancel_on],
        "hooks": [type(hook).__name__ for hook in workflow.hooks],
        "handles": workflow.handles,
        "async": workflow.is_async,
        "triggers": [_describe_trigger(trigger) for trigger in workflow.triggers],
    }
    return {key: value for key, value in options.items() if value not in (None, "", [])}


def _describe_trigger(trigger: Any) -> str:
    if hasattr(trigger, "expression"):
        return f"{trigger.expression} {trigger.tz}"
    return f"{trigger.event} if {trigger.if_exp}" if getattr(trigger, "if_exp", None) else str(trigger.event)
