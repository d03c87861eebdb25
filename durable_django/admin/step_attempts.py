"""The attempts of a step: those that failed and the one that gave its result; what was work, what was waiting."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from django.utils.translation import gettext as _

from ..clock import read_time
from ..engine.words import say_length
from ..models import Attempt, Step, StepStatus
from .render import show_time
from .run_rows import EXECUTED
from .trace import fold_trace

SHOWN: Final = 50
"""Attempts on the page, the newest."""


def read_attempts(using: str, step: Step) -> list[Attempt]:
    """Return the failed attempts, the newest first, and one more than are shown."""
    attempts = Attempt.objects.using(using).filter(run_id=step.run_id, name=step.name, index=step.index)
    return list(attempts.order_by("-pk")[: SHOWN + 1])


def tell_attempts(attempts: Sequence[Attempt]) -> list[dict[str, Any]]:
    """Return what is shown of each failed attempt."""
    before = [*attempts[1:], None]
    return [_tell(each, last) for each, last in list(zip(attempts, before, strict=False))[:SHOWN]]


def tell_success(step: Step, attempts: Sequence[Attempt]) -> dict[str, Any] | None:
    """Return the attempt that gave the result, None if none did or it was not executed."""
    executed = step.kind in EXECUTED and step.status == StepStatus.COMPLETED and not step.supplied_by
    if not executed or step.ended_at is None:
        return None
    begin = _find_due(attempts[0]) if attempts else read_time(step.started_at)
    ended = read_time(step.ended_at)
    return {
        "number": step.attempt + 1,
        "due": show_time(begin) if attempts else "",
        "started": "" if attempts else show_time(begin),
        "ended": show_time(ended),
        "lasted": say_length((ended - begin).total_seconds()),
    }


def list_sums(step: Step, attempts: Sequence[Attempt], now: datetime) -> list[tuple[str, Any]]:
    """Return for a step that was tried again how long it executed and how long it paused, over all attempts."""
    if not attempts or len(attempts) > SHOWN:
        return []
    worked = sum((read_time(each.ended_at) - read_time(each.started_at)).total_seconds() for each in attempts)
    paused = sum(_measure_pause(each, step, now) for each in attempts)
    return [(_("failed attempts took"), say_length(worked)), (_("paused in between"), say_length(paused))]


def _measure_pause(each: Attempt, step: Step, now: datetime) -> float:
    until = read_time(step.ended_at) if step.ended_at else now
    return max((min(_find_due(each), until) - read_time(each.ended_at)).total_seconds(), 0.0)


def _find_due(each: Attempt) -> datetime:
    return read_time(each.retry_at or each.ended_at)


def _tell(each: Attempt, last: Attempt | None) -> dict[str, Any]:
    started, ended = read_time(each.started_at), read_time(each.ended_at)
    pause = (_find_due(each) - ended).total_seconds()
    late = (started - _find_due(last)).total_seconds() if last and last.retry_at else 0.0
    return {
        "row": each,
        "number": each.number + 1,
        "started": show_time(started),
        "ended": show_time(ended),
        "lasted": say_length((ended - started).total_seconds()),
        "late": say_length(late) if late > 0 else "",
        "again": show_time(each.retry_at) if each.retry_at else "",
        "pause": say_length(pause) if each.retry_at else "",
        "trace": fold_trace(each.traceback),
    }
