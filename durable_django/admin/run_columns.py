"""Further columns of the list of runs, chosen in its address: ``?show_queue=1&show_input=customer.id``.

Note [A payload in a list is read for its page only]
    The path is followed in what ``reveal_event`` returns, so hooks and masks hold as on the page of an event.
    One query reads the events of the page; those larger than what a page shows stay in the database.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, Final
from uuid import UUID

from django.db.models import Case, F, TextField, Value, When
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from ..engine.reveal import reveal_event
from ..models import Event, Run
from ..store.payload_size import Size
from .permits import may_see_payloads
from .render import HIDDEN, NOTHING, SHOWN_CHARACTERS

FIELDS: Final = {
    "show_queue": ("queue", _("queue")),
    "show_worker": ("owner", _("worker")),
    "show_version": ("version", _("code version")),
    "show_attempts": ("attempt", _("failed attempts")),
}
INPUT: Final = "show_input"
NAMES: Final = (*FIELDS, INPUT)
CELL: Final = 80
"""Characters of a value that a cell shows."""


def read_fields(request: HttpRequest) -> list[str]:
    """Return the columns of the table that are chosen."""
    return [field for name, (field, _label) in FIELDS.items() if request.GET.get(name)]


def read_path(request: HttpRequest) -> str:
    """Return the path in the input that is chosen, without its prefix."""
    return request.GET.get(INPUT, "").strip().removeprefix("input.")


def list_columns(request: HttpRequest) -> list[Any]:
    """Return what Django shows as further columns."""
    path = read_path(request)
    return [*read_fields(request), *([_make_column(path)] if path else [])]


def list_choices(request: HttpRequest) -> list[dict[str, Any]]:
    """Return the fields of the form."""
    boxes = [
        {"name": name, "label": label, "kind": "checkbox", "value": request.GET.get(name)}
        for name, (_field, label) in FIELDS.items()
    ]
    if not may_see_payloads(request):
        return boxes
    return [*boxes, {"name": INPUT, "label": _("value of the input"), "value": request.GET.get(INPUT, "")}]


def fill_inputs(request: HttpRequest, runs: Sequence[Run], using: str) -> None:
    """Give the runs of a page what their column shows, in one query."""
    path = read_path(request)
    if not path or not runs:
        return
    allowed = may_see_payloads(request)
    found = _read_events(using, {run.event_id for run in runs}) if allowed else {}
    for run in runs:
        told = _find(found.get(run.event_id), run, path) if allowed else _hide()
        run.told_input = told  # type: ignore[attr-defined]


def _make_column(path: str) -> Callable[[Run], Any]:
    def told_input(run: Run) -> Any:
        return getattr(run, "told_input", NOTHING)

    told_input.short_description = f"input.{path}"  # type: ignore[attr-defined]
    return told_input


def _read_events(using: str, keys: set[UUID]) -> dict[UUID, Event]:
    small = Case(
        When(size__lte=SHOWN_CHARACTERS, then=F("data")), default=Value(""), output_field=TextField()
    )
    rows = Event.objects.using(using).filter(pk__in=keys).annotate(size=Size("data"), small=small)
    return {row.pk: row for row in rows.defer("data", "extra")}


def _find(event: Any, run: Run, path: str) -> Any:
    if event is None:
        return NOTHING
    if not event.small:
        return _("too large")
    event.data = event.small
    value = follow(reveal_event(event, run.workflow), path.split("."))
    if value is None:
        return NOTHING
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= CELL else f"{text[:CELL]}…"


def follow(value: Any, path: Sequence[str]) -> Any:
    """Return what stands at the path, or None."""
    for key in path:
        if isinstance(value, list) and key.isdecimal() and int(key) < len(value):
            value = value[int(key)]
        elif isinstance(value, dict):
            value = value.get(key)
        else:
            return None
    return value


def _hide() -> str:
    return format_html('<span title="{}">{}</span>', HIDDEN, _("hidden"))
