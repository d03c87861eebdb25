"""Whether an event of the right name is meant for a trigger: the part that its data decides."""

from __future__ import annotations

from typing import Any

from ..define.cron import Cron
from ..define.model_change import ModelChange
from ..define.triggers import Trigger
from ..define.workflow import Workflow
from ..exceptions import DurableError
from ..store.base import EventRow
from .slice import read_event


def is_meant(workflow: Workflow[..., Any], trigger: Trigger, row: EventRow) -> bool:
    """Tell whether a cron event is this workflow's, or a model's event is about the fields it asks for."""
    try:
        match trigger:
            case Cron():
                return bool(read_event(row).data.get("workflow") == workflow.id)
            case ModelChange() if trigger.fields:
                return wants(trigger, read_event(row).data.get("fields"))
    except DurableError:
        return False  # it cannot be read; a worker that executes a run of it would say so
    return True


def wants(trigger: ModelChange, changed: list[str] | None) -> bool:
    """Tell whether a change of these fields concerns the trigger; None means that they are not known."""
    return not trigger.fields or changed is None or not set(trigger.fields).isdisjoint(changed)
