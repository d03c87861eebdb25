"""Why a run does not move: the first cause that holds, and the way out.

Note [A diagnosis is a guess from rows]
    Workers report themselves each 10 s and renew their leases each third of LEASE_SECONDS. One that has
    not been seen for ALIVE_SECONDS counts as gone, a lease of which less than half is left as not renewed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ..clock import read_now, read_time
from ..conf import settings
from ..define.registry import registry
from ..models import PauseNew, Run, RunStatus, Step, StepKind, StepStatus, Wait, Worker, WorkflowState
from .diagnose_facts import Facts, pick_step, read_facts
from .identity import find_worker
from .words import is_over, name_step, say_due, say_instant, say_length

ALIVE_SECONDS: Final = 60.0
OVERDUE_SECONDS: Final = 10.0
TICK: Final = "tick"


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """Why a run does not move.

    ``code`` is stable, ``sentence`` and ``remedy`` are translated; ``stuck`` says that time alone will not
    help. ``run_id`` is another run that this one waits for, ``event_name`` an event that it waits for, and
    ``wait_id`` the open wait for it.
    """

    code: str
    sentence: str
    remedy: str = ""
    stuck: bool = False
    until: datetime | None = None
    run_id: UUID | None = None
    event_name: str = ""
    wait_id: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return it for answers in JSON, under stable keys."""
        return {
            "code": self.code,
            "sentence": self.sentence,
            "remedy": self.remedy or None,
            "stuck": self.stuck,
            "until": self.until,
            "run_id": str(self.run_id) if self.run_id else None,
            "event_name": self.event_name or None,
            "wait_id": self.wait_id,
        }


def diagnose(using: str, run: Run, now: datetime | None = None) -> Diagnosis | None:
    """Return why a run that has not ended does not move, in at most five queries.

    Args:
        now: The database's present instant, if the caller has asked for it already.

    Returns:
        The cause, or None if the run has ended.
    """
    if run.ended_at is not None:
        return None
    return decide(read_facts(using, run, now or read_now(using)))


def decide(facts: Facts) -> Diagnosis:
    """Return the first cause that holds of a run that has not ended."""
    causes = _CAUSES[facts.run.status]
    return next(found for cause in causes if (found := cause(facts)) is not None)


def _check_tick(facts: Facts) -> Diagnosis | None:
    run, now = facts.run, facts.now
    if run.wake_at is None or _age(run.wake_at, now) < OVERDUE_SECONDS:
        return None
    ticked = next((row.seen_at for row in facts.workers if row.name == TICK), None)
    if ticked is not None and _age(ticked, now) < OVERDUE_SECONDS + settings.TICK_SECONDS:
        return None
    last = _("Nobody ever ticked.")
    if ticked is not None:
        last = _("The last tick was %s ago.") % say_length(_age(ticked, now))
    late = _("It should have been looked at %s ago, but nobody ticks.") % say_length(_age(run.wake_at, now))
    return Diagnosis(
        code="no_tick",
        sentence=f"{late} {last}",
        remedy=_("Start `manage.py durable worker` or Celery beat, or run `manage.py durable tick`."),
        stuck=True,
    )


def _check_pause(facts: Facts) -> Diagnosis | None:
    pause = facts.pause
    if pause is None:
        return None
    text = _("The workflow “%(workflow)s” was paused by %(who)s at %(since)s.")
    values = {"workflow": pause.id, "who": pause.paused_by, "since": say_instant(pause.paused_at)}
    parts = [text % values]
    if pause.pause_reason:
        parts.append(_("The reason given: %s") % pause.pause_reason)
    if _is_skipped(facts.run, pause):
        parts.append(_("New runs are skipped: this one will be cancelled."))
    return Diagnosis(
        code="paused",
        sentence=" ".join(parts),
        remedy=_("Resume it: `manage.py durable resume %s`") % pause.id,
        stuck=True,
    )


def _is_skipped(run: Run, pause: WorkflowState) -> bool:
    since = pause.paused_at
    fresh = run.started_at is None and since is not None and read_time(run.created_at) >= read_time(since)
    return fresh and pause.pause_new == PauseNew.SKIP


def _check_resumed(facts: Facts) -> Diagnosis:
    due = say_due(facts.run.wake_at, facts.now)
    text = _("Its workflow is not paused any more. It is queued again at %s.") % due
    nothing = _("Nothing needs to be done.")
    return Diagnosis(code="queued", sentence=text, remedy=nothing, until=facts.run.wake_at)


def _check_workers(facts: Facts) -> Diagnosis | None:
    queue = facts.run.queue
    serving = [row for row in facts.workers if row.name != TICK and queue in row.served]
    if any(_is_alive(row, facts.now) for row in serving):
        return None
    seen = max((row.seen_at for row in serving), default=None)
    last = _("The last one was seen %s ago.") % say_length(_age(seen, facts.now)) if seen else ""
    none = _("No live worker serves the queue “%s”.") % queue
    return Diagnosis(
        code="no_worker",
        sentence=f"{none} {last}".strip(),
        remedy=_("Start one: `manage.py durable worker -q %s`") % queue,
        stuck=True,
    )


def _check_queue(facts: Facts) -> Diagnosis:
    since = say_instant(facts.run.created_at)
    text = _("It waits in the queue “%(queue)s” for a free place in a worker. It was created at %(since)s.")
    return Diagnosis(
        code="queued",
        sentence=text % {"queue": facts.run.queue, "since": since},
        remedy=_("If this lasts, start more workers or give them more threads."),
    )


def _check_lease(facts: Facts) -> Diagnosis | None:
    run, now = facts.run, facts.now
    left = -_age(run.wake_at, now) if run.wake_at else 0.0
    if left > settings.LEASE_SECONDS / 2:
        return None
    seen = next((row.seen_at for row in facts.workers if row.name == find_worker(run.owner)), None)
    if seen is not None and _age(seen, now) < settings.LEASE_SECONDS / 2:
        return None
    text = _("The worker “%(worker)s” has not renewed its lease, which ends in %(left)s.")
    return Diagnosis(
        code="dead_worker",
        sentence=text % {"worker": run.owner, "left": say_length(left)},
        remedy=_("Another worker takes the run over then. Its completed steps are not repeated."),
        until=run.wake_at,
    )


def _check_execution(facts: Facts) -> Diagnosis:
    return Diagnosis(code="running", sentence=_("It moves: the worker “%s” executes it.") % facts.run.owner)


def _check_code(facts: Facts) -> Diagnosis | None:
    if facts.run.waits_for != "code":
        return None
    text = _("No worker has the code of the workflow “%(workflow)s”. It looks again at %(due)s.")
    values = {"workflow": facts.run.workflow, "due": say_due(facts.run.wake_at, facts.now)}
    here = _("This process knows the workflow.") if facts.run.workflow in registry else ""
    return Diagnosis(
        code="no_code",
        sentence=f"{text % values} {here}".strip(),
        remedy=_("Deploy a version that has it and restart the workers, or cancel the run."),
        stuck=True,
        until=facts.run.wake_at,
    )


def _check_start(facts: Facts) -> Diagnosis | None:
    if facts.run.waits_for != "start":
        return None
    due = say_due(facts.run.wake_at, facts.now)
    return Diagnosis(code="delayed", sentence=_("It starts at %s.") % due, until=facts.run.wake_at)


def _check_steps(facts: Facts) -> Diagnosis | None:
    step = pick_step(facts.steps, facts.now)
    if step is None:
        return None
    found = _describe(step, facts)
    others = sum(not is_over(each, facts.now) for each in facts.steps) - 1
    if not others:
        return found
    more = ngettext("%d other branch waits too.", "%d other branches wait too.", others) % others
    return Diagnosis(**{**vars(found), "sentence": f"{found.sentence} {more}"})


def _describe(step: Step, facts: Facts) -> Diagnosis:
    due = say_due(step.ready_at, facts.now)
    if step.status == StepStatus.RETRYING:
        return _describe_retry(_name(step), step.attempt, due, step.ready_at, facts)
    if step.kind == StepKind.SLEEP:
        text = _("The step “%(step)s” sleeps until %(due)s.")
        sentence = text % {"step": _name(step), "due": due}
        remedy = _("End its sleep now: `manage.py durable wake %s`") % facts.run.pk
        return Diagnosis(code="sleeping", sentence=sentence, remedy=remedy, until=step.ready_at)
    if step.kind == StepKind.INVOKE:
        return _describe_child(step, due, facts)
    return _describe_wait(step, due, facts)


def _describe_child(step: Step, due: str, facts: Facts) -> Diagnosis:
    child = next((run for run in facts.children if run.parent_step == step.name), None)
    if child is None:
        text = _("The step “%(step)s” waits for another run until %(due)s.")
        return Diagnosis(code="child", sentence=text % {"step": _name(step), "due": due}, until=step.ready_at)
    text = _("The step “%(step)s” waits for a run of “%(workflow)s” (%(status)s) until %(due)s.")
    status = child.get_status_display()
    values = {"step": _name(step), "workflow": child.workflow, "status": status, "due": due}
    return Diagnosis(
        code="child",
        sentence=text % values,
        remedy=_("Look at that run."),
        until=step.ready_at,
        run_id=child.id,
    )


def _describe_wait(step: Step, due: str, facts: Facts) -> Diagnosis:
    waits = [wait for wait in facts.waits if (wait.name, wait.index) == (step.name, step.index)]
    if not waits:
        text = _("The step “%(step)s” waits until %(due)s.")
        sentence = text % {"step": _name(step), "due": due}
        return Diagnosis(code="waiting", sentence=sentence, until=step.ready_at)
    joint = _(" and ") if step.kind == StepKind.ALL else _(" or ")
    asked = joint.join(_say_asked(wait) for wait in waits)
    text = _("The step “%(step)s” waits for %(asked)s until %(due)s.")
    signal = bool(waits[0].signal)
    return Diagnosis(
        code="signal" if signal else "event",
        sentence=text % {"step": _name(step), "asked": asked, "due": due},
        remedy=_remedy_of(waits[0]),
        until=step.ready_at,
        event_name=waits[0].event_name,
        wait_id=waits[0].pk,
    )


def _say_asked(wait: Wait) -> str:
    if wait.signal:
        return _("the signal “%s”") % wait.signal
    text = _("the event “%s”") % wait.event_name
    if wait.match:
        return _("%(event)s with the same %(match)s") % {"event": text, "match": wait.match}
    if wait.expression:
        return _("%(event)s where %(test)s") % {"event": text, "test": wait.expression}
    return text


def _remedy_of(wait: Wait) -> str:
    if wait.signal:
        sent = _('Send it: `send_signal("%s", …)`') % wait.signal
    else:
        sent = _("Send it: `manage.py durable send %s '{…}'`") % wait.event_name
    return (
        sent
        if wait.pk is None
        else _("%(sent)s, or answer in its place: `manage.py durable resolve %(wait)s '{…}'`")
        % {"sent": sent, "wait": wait.pk}
    )


def _describe_retry(where: str, failed: int, due: str, until: datetime | None, facts: Facts) -> Diagnosis:
    error = facts.error.error_type if facts.error else _("an error")
    text = ngettext(
        "“%(where)s” failed %(count)d time with %(error)s and is tried again at %(due)s.",
        "“%(where)s” failed %(count)d times, last with %(error)s, and is tried again at %(due)s.",
        failed,
    )
    values = {"where": where, "count": failed, "error": error, "due": due}
    return Diagnosis(
        code="retrying",
        sentence=text % values,
        remedy=_("Mend the cause before then, or try again now: `manage.py durable wake %s`") % facts.run.pk,
        until=until,
    )


def _check_rest(facts: Facts) -> Diagnosis:
    run, due = facts.run, say_due(facts.run.wake_at, facts.now)
    if run.waits_for == "retry":
        return _describe_retry(_("The code between steps"), run.attempt, due, run.wake_at, facts)
    text = _("It waits (%(what)s) until %(due)s.")
    values = {"what": run.waits_for or _("for its next look"), "due": due}
    return Diagnosis(code="waiting", sentence=text % values, until=run.wake_at)


def _name(step: Step) -> str:
    return name_step(step.name, step.index)


def _is_alive(row: Worker, now: datetime) -> bool:
    return _age(row.seen_at, now) <= ALIVE_SECONDS


def _age(moment: datetime, now: datetime) -> float:
    return (now - read_time(moment)) / timedelta(seconds=1)


_Cause = Callable[[Facts], Diagnosis | None]
_CAUSES: Final[dict[str, tuple[_Cause, ...]]] = {
    RunStatus.QUEUED: (_check_pause, _check_workers, _check_tick, _check_queue),
    RunStatus.PAUSED: (_check_pause, _check_tick, _check_resumed),
    RunStatus.RUNNING: (_check_tick, _check_lease, _check_execution),
    RunStatus.WAITING: (_check_tick, _check_code, _check_start, _check_steps, _check_rest),
}
