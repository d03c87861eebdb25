"""Handlers that run when a run has failed or was cancelled: workflows of their own."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from .triggers import EventTrigger

FAILED, CANCELLED, FINISHED = "durable/run.failed", "durable/run.cancelled", "durable/run.finished"
LIFECYCLE = "durable/run."


def name_handler(id: str, kind: str) -> str:
    """Return the id of the workflow that handles the ends of another."""
    return f"{id}/{kind}"


def handler_options(id: str, event: str, function: Callable[..., Any]) -> dict[str, Any]:
    """Return the definition of a handler: triggered by the lifecycle event of that one workflow."""
    condition = f"event.data.workflow == {json.dumps(id)}"
    kind = "on-failure" if event == FAILED else "on-cancel"
    return {
        "id": name_handler(id, kind),
        "function": function,
        "triggers": (EventTrigger(event, if_exp=condition),),
        "handles": id,
    }
