"""Instants, lengths of time and the state of a run in words, the same on screens and in commands."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..clock import read_time
from ..duration import format_duration
from ..models import Run, RunStatus, Step, StepKind, StepStatus
from ..models.run import LIVE
from .scope import read_index


@dataclass(frozen=True, slots=True)
class Word:
    """A state as people are told it: ``code`` is stable, ``label`` is translated."""

    code: str
    label: Any


_FINER: Final = {"sleep": "sleeping", "retry": "retrying", "code": "stuck", "start": "scheduled"}
"""What a waiting run waits for, where that has a word of its own."""

WORDS: Final[dict[str, Word]] = {
    word.code: word
    for word in (
        Word("queued", gettext_lazy("queued")),
        Word("scheduled", gettext_lazy("scheduled")),
        Word("paused", gettext_lazy("paused")),
        Word("running", gettext_lazy("running")),
        Word("retrying", gettext_lazy("retrying")),
        Word("waiting", gettext_lazy("waiting")),
        Word("sleeping", gettext_lazy("sleeping")),
        Word("stuck", gettext_lazy("stuck")),
        Word("completed", gettext_lazy("completed")),
        Word("failed", gettext_lazy("failed")),
        Word("cancelled", gettext_lazy("cancelled")),
    )
}


def name_state(run: Run) -> Word:
    """Return the word for what a run does."""
    return choose_word(run.status, run.waits_for)


def choose_word(status: str, waits_for: str) -> Word:
    """Return the word for a status, finer where that is known."""
    finer = _FINER.get(waits_for) if status == RunStatus.WAITING else None
    return WORDS[finer or status]


def select_state(code: str) -> Q:
    """Return the condition under which ``name_state`` says this word; an unknown one matches nothing."""
    for waits_for, word in _FINER.items():
        if word == code:
            return Q(status=RunStatus.WAITING, waits_for=waits_for, wake_at__isnull=False)
    if code == RunStatus.WAITING:
        return Q(status=code, wake_at__isnull=False) & ~Q(waits_for__in=list(_FINER))
    # The second half is always true of these, and lets the index on wake_at serve.
    return Q(status=code, wake_at__isnull=False) if code in LIVE else Q(status=code)


def name_step(name: str, index: int) -> str:
    """Return the id of a step with what tells it from other uses of the id: branch and count, from 1."""
    path, count = read_index(index)
    text = f"{name} ({count + 1})" if count else name
    return f"{text} [{'.'.join(str(number + 1) for number in path)}]" if path else text


def say_instant(moment: datetime | None) -> str:
    """Return the instant in the project's time zone, to the second."""
    if moment is None:
        return "-"
    return timezone.localtime(read_time(moment)).strftime("%Y-%m-%d %H:%M:%S %Z")


def say_length(seconds: float) -> str:
    """Return a length of time as people say it: two units at most."""
    if seconds < 0.95:
        return f"{max(seconds, 0.0) * 1_000:.0f}ms"
    if seconds < 59.95:
        return f"{seconds:.1f}s"
    return " ".join(format_duration(timedelta(seconds=round(seconds))).split()[:2])


def say_due(moment: datetime | None, now: datetime) -> str:
    """Return an instant and how far away it is."""
    if moment is None:
        return _("an unknown time")
    left = (read_time(moment) - now).total_seconds()
    return f"{say_instant(moment)} ({_('in %s') % say_length(left) if left > 0 else _('now')})"


def is_over(step: Step, now: datetime) -> bool:
    """Tell whether a sleep has ended; its row stays as it is, since the clock alone ends it."""
    if step.kind != StepKind.SLEEP or step.status != StepStatus.WAITING or step.ready_at is None:
        return False
    return read_time(step.ready_at) <= now
