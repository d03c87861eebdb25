"""What operators do to waits: give the answer, let the time be up, or give more of it.

Note [An operator's answer is one more way for a wait to end]
    The run is locked, as by everybody who ends a wait, and the wait is claimed by the same conditional
    update; so an event, a time-out and two operators at once end it once (law 7). A wait whose time is up
    but which no worker has ended yet can still be answered, but not be extended.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import transaction

from ..clock import read_now, read_time
from ..conf import settings
from ..duration import MAX_DURATION, parse_instant
from ..exceptions import InvalidInstant, WaitRefused
from ..models import Run, Step, StepKind, Wait
from ..store.branch import BranchEnd, end_branches
from ..store.extend import end_waiting, move_wait
from .alias import get_alias
from .handle import RunHandle
from .nudge import Nudge
from .operate import audit, lock_wait
from .start import nudge_after_commit
from .supply import build_answer, mark_supplied


def resolve_wait(
    wait_id: int | str, value: Any, *, actor: str, reason: str = "", using: str | None = None
) -> RunHandle:
    """End a wait as if its answer had come.

    Args:
        value: The data of the event or signal, or what the other run returns.

    Raises:
        WaitNotFound: It is not stored.
        WaitRefused: It has ended.
        InvalidEvent, InvalidSignal, EventTooLarge, OutputTooLarge, Unserializable: The value does not fit.
    """
    using = using or get_alias()
    with transaction.atomic(using=using):
        run, wait = lock_wait(using, wait_id, "resolve")
        end = BranchEnd(
            wait_id=wait.id, run_id=run.id, status="resolved", output=build_answer(using, run, wait, value)
        )
        woken = end_branches(using, [end], renudge=settings.RENUDGE_SECONDS)
        mark_supplied(using, run, wait.name, wait.index, actor)
        audit(using, actor, "resolve", run, reason, f"wait {wait.id} of step {wait.name}")
        nudge_after_commit(using, [Nudge(*each) for each in woken])
    return RunHandle(run.id, using=using)


def time_out_wait(wait_id: int | str, *, actor: str, reason: str = "", using: str | None = None) -> RunHandle:
    """Let the time of a step's waits be up now; the workflow goes on as if it had passed.

    An event that was received before still counts, even if it is not routed yet.

    Raises:
        WaitNotFound: It is not stored.
        WaitRefused: It has ended, its time is up already, or it stands for a step on another worker.
    """
    using = using or get_alias()
    with transaction.atomic(using=using):
        run, wait = lock_wait(using, wait_id, "time out")
        _refuse_remote(using, run, wait, "time out")
        _refuse_over(wait, read_now(using), "time out")
        woken = end_waiting(using, run.id, wait.name, wait.index, renudge=settings.RENUDGE_SECONDS)
        audit(using, actor, "time out", run, reason, f"wait {wait.id} of step {wait.name}")
        nudge_after_commit(using, [Nudge(*each) for each in woken])
    return RunHandle(run.id, using=using)


def extend_wait(
    wait_id: int | str, until: datetime, *, actor: str, reason: str = "", using: str | None = None
) -> RunHandle:
    """Let the waits of a step last until another instant, later or sooner.

    Raises:
        WaitNotFound: It is not stored.
        WaitRefused: It has ended, its time is up already, or it stands for a step on another worker.
        InvalidInstant, NaiveDatetime: The instant is past, or more than 366 days away.
    """
    using = using or get_alias()
    with transaction.atomic(using=using):
        run, wait = lock_wait(using, wait_id, "extend")
        now = read_now(using)
        _refuse_remote(using, run, wait, "extend")
        _refuse_over(wait, now, "extend")
        moment = _check_until(until, now)
        move_wait(using, run.id, wait.name, wait.index, moment)
        audit(using, actor, "extend", run, reason, f"wait {wait.id} of step {wait.name} until {moment}")
    return RunHandle(run.id, using=using)


def _refuse_over(wait: Wait, now: datetime, action: str) -> None:
    if read_time(wait.expires_at) <= now:
        raise WaitRefused(id=wait.id, status="over", action=action, needs="a wait whose time is not up")


def _refuse_remote(using: str, run: Run, wait: Wait, action: str) -> None:
    # See remote.py: without its wait the step would be carried out here as well.
    steps = Step.objects.using(using).filter(run_id=run.id, name=wait.name, index=wait.index)
    if wait.kind == "child" and steps.exclude(kind=StepKind.INVOKE).exists():
        status = "that for a step on another worker"
        raise WaitRefused(id=wait.id, status=status, action=action, needs="another wait; cancel that run")


def _check_until(until: datetime, now: datetime) -> datetime:
    moment = parse_instant(until)
    if moment <= now:
        raise InvalidInstant(value=until, reason="it is not in the future")
    if moment > now + MAX_DURATION:
        raise InvalidInstant(value=until, reason="it is more than 366 days away")
    return moment
