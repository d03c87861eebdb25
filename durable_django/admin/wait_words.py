"""Waits in words: what they wait for, how much time is left, and what follows when it is over."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..clock import read_time
from ..engine.words import say_instant, say_length
from ..models import Wait, WaitStatus

KINDS = {
    "event": gettext_lazy("event"),
    "signal": gettext_lazy("signal"),
    "child": gettext_lazy("invoked run"),
    "cancel": gettext_lazy("cancel rule"),
}
COLOURS = {
    WaitStatus.OPEN: "waiting",
    WaitStatus.MATCHED: "completed",
    WaitStatus.RESOLVED: "completed",
    WaitStatus.EXPIRED: "failed",
    WaitStatus.CLOSED: "cancelled",
    WaitStatus.DISPLACED: "cancelled",
}
ICONS = {"waiting": "…", "completed": "✓", "failed": "⏱", "cancelled": "⊘"}


def name_wait(wait: Wait) -> str:
    """Return what it waits for, short."""
    return wait.event_name or wait.signal or str(KINDS.get(wait.kind, wait.kind))


def is_overdue(wait: Wait, now: datetime) -> bool:
    """Tell whether it should have ended by now."""
    return bool(wait.status == WaitStatus.OPEN and read_time(wait.expires_at) <= now)


def show_wait_state(wait: Wait, now: datetime) -> Any:
    """Return icon, word and colour of its status."""
    if is_overdue(wait, now):
        code, icon, label = "failed", "⚠", _("overdue")
    else:
        code = COLOURS.get(WaitStatus(wait.status), "cancelled")
        icon, label = ICONS[code], wait.get_status_display()
    html = '<span class="dd-state dd-{}"><span aria-hidden="true">{}</span> {}</span>'
    return format_html(html, code, icon, label)


def say_left(wait: Wait, now: datetime) -> str:
    """Return how long it still waits, or since when it is overdue."""
    return say_left_until(wait.expires_at, now)


def say_left_until(moment: datetime, now: datetime) -> str:
    """Return how far away an instant is, or since when it is past."""
    left = (read_time(moment) - now).total_seconds()
    return _("%s left") % say_length(left) if left > 0 else _("%s overdue") % say_length(-left)


def say_timeout(wait: Wait) -> str:
    """Return what happens when its time is over, as a sentence."""
    when = say_instant(wait.expires_at)
    if wait.kind == "cancel":
        return _("At %s this rule ends; the run goes on.") % when
    if wait.kind == "child":
        return _("At %s the step fails with a time-out; the invoked run goes on by itself.") % when
    if wait.mode == "all":
        return _("At %s the step returns what has come by then, with None for what has not.") % when
    return _("At %s the step returns None and the run goes on.") % when
