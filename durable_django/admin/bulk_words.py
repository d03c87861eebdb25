"""Bulk operations in words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.utils.formats import number_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from ..clock import read_time
from ..engine.bulk_actions import ACTIONS
from ..engine.bulk_filter import say_filter
from ..models import BulkOperation, BulkState

IDLE_SECONDS: Final = 15.0
"""After so long without a worker something is wrong."""


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is asked before an operation starts."""

    ask: Callable[[int], str]
    button: Any
    consequence: Any


QUESTIONS: Final = {
    "cancel": Question(
        ask=lambda count: ngettext("Cancel %(count)s run?", "Cancel %(count)s runs?", count),
        button=gettext_lazy("Cancel all of them"),
        consequence=gettext_lazy(
            "A step that is running may still finish; no further step starts, and open waits are closed."
        ),
    ),
    "retry": Question(
        ask=lambda count: ngettext("Retry %(count)s run?", "Retry %(count)s runs?", count),
        button=gettext_lazy("Retry all of them"),
        consequence=gettext_lazy("They go on where they stopped; completed steps are not repeated."),
    ),
    "wake": Question(
        ask=lambda count: ngettext("Wake %(count)s run?", "Wake %(count)s runs?", count),
        button=gettext_lazy("Wake all of them"),
        consequence=gettext_lazy(
            "They go on as if the time had come: of a sleep, of the next attempt, or of a later start."
        ),
    ),
    "rerun": Question(
        ask=lambda count: ngettext(
            "Start a new run for each of %(count)s run?", "Start a new run for each of %(count)s runs?", count
        ),
        button=gettext_lazy("Rerun all of them"),
        consequence=gettext_lazy("All steps run again, including those with outside effects."),
    ),
    "delete": Question(
        ask=lambda count: ngettext("Delete %(count)s ended run?", "Delete %(count)s ended runs?", count),
        button=gettext_lazy("Delete all of them"),
        consequence=gettext_lazy(
            "Their steps, attempts, waits and results go too. Operator log entries stay. This cannot be undone."
        ),
    ),
    "resolve": Question(
        ask=lambda count: ngettext("Resolve %(count)s wait?", "Resolve %(count)s waits?", count),
        button=gettext_lazy("Resolve all of them"),
        consequence=gettext_lazy(
            "Their runs go on as if the value below had arrived; the runs will show who gave it."
        ),
    ),
    "time_out": Question(
        ask=lambda count: ngettext("Time out %(count)s wait?", "Time out %(count)s waits?", count),
        button=gettext_lazy("Time out all of them"),
        consequence=gettext_lazy("Their runs go on as if the time were up."),
    ),
}
_ICONS: Final = {BulkState.RUNNING: "▶", BulkState.STOPPED: "■", BulkState.FINISHED: "✓"}
_CLASSES: Final = {
    BulkState.RUNNING: "running",
    BulkState.STOPPED: "waiting",
    BulkState.FINISHED: "completed",
}


def name_action(bulk: BulkOperation) -> str:
    """Return the action as people say it."""
    action = ACTIONS.get(bulk.action)
    return str(action.title) if action else bulk.action


def show_bulk_state(bulk: BulkOperation) -> SafeString:
    """Return icon, word and colour of the state."""
    state = BulkState(bulk.state)
    return format_html(
        '<span class="dd-state dd-{}"><span aria-hidden="true">{}</span> {}</span>',
        _CLASSES[state],
        _ICONS[state],
        state.label,
    )


def say_chosen(bulk: BulkOperation) -> str:
    """Return the filter in words."""
    action = ACTIONS.get(bulk.action)
    if action is None:
        return str(bulk.filter)
    return " · ".join(f"{label} {text}" for label, text in say_filter(action.fields, bulk.filter))


def say_progress(bulk: BulkOperation) -> str:
    """Return how many rows were done, left alone and failed, of how many."""
    values = {
        "done": _count(bulk.done),
        "skipped": _count(bulk.skipped),
        "failed": _count(bulk.failed),
        "matched": say_matched(bulk),
    }
    return _("%(done)s done, %(skipped)s left alone, %(failed)s failed, of %(matched)s.") % values


def say_matched(bulk: BulkOperation) -> str:
    """Return how many rows matched at the start, as far as that was known."""
    if bulk.matched is None:
        return _("an unknown number")
    return _count(bulk.matched) if bulk.matched_exactly else _("about %s") % _count(bulk.matched)


def measure_speed(bulk: BulkOperation) -> float | None:
    """Return the rows a second from the start to the last change."""
    seconds = (read_time(bulk.changed_at) - read_time(bulk.created_at)).total_seconds()
    seen = bulk.done + bulk.skipped + bulk.failed
    return seen / seconds if seconds > 0 and seen else None


def say_speed(bulk: BulkOperation) -> str:
    """Return the speed in words, or nothing before the first row."""
    speed = measure_speed(bulk)
    return _("%s a second") % number_format(round(speed, 1)) if speed else ""


def find_hitch(bulk: BulkOperation, now: datetime) -> str:
    """Return why a running operation does not move, or nothing."""
    if bulk.state != BulkState.RUNNING:
        return ""
    if (now - read_time(bulk.changed_at)).total_seconds() < IDLE_SECONDS:
        return ""
    if bulk.lease_until is not None and read_time(bulk.lease_until) > now:
        return ""
    return _("No worker carries it out. Is one alive? manage.py durable doctor tells.")


def _count(number: int) -> str:
    return str(number_format(number, force_grouping=True))
