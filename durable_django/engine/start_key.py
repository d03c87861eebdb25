"""The key that an ``idempotency`` expression gives an event: equal keys start one run in a day."""

from __future__ import annotations

import json
from dataclasses import dataclass
from uuid import UUID

from ..define.workflow import Workflow
from ..exceptions import DurableError
from ..ids import derive_id
from ..store.base import EventRow
from .cel_canonical import canonical
from .cel_values import Fault
from .expressions import compile_expression, evaluate_value
from .slice import read_event

MISSING = "key_missing"
"""The code of an expression whose value is null: it would make all events that lack the field the same."""


@dataclass(frozen=True, slots=True)
class StartKey:
    """The start key, and the value that it stands for as a person reads it; or why there is none."""

    id: UUID | None
    shown: str = ""
    error: str = ""


def read_start_key(workflow: Workflow[..., object], row: EventRow) -> StartKey:
    """Return the key of the run that an event starts; without an expression, that of the event's id."""
    if workflow.idempotency is None:
        return StartKey(derive_id("event", workflow.id, row.external_id or row.id))
    try:
        value = evaluate_value(
            compile_expression(workflow.idempotency, allow_async=False), read_event(row).as_dict()
        )
        if value.error or value.value is None:
            return StartKey(None, error=value.error or MISSING)
        return StartKey(derive_id("key", workflow.id, canonical(value.value).hex()), shown=_show(value.value))
    except (DurableError, Fault) as error:
        return StartKey(None, error=error.code)


def _show(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
    return text.replace("\x00", "")[:255] or '""'
