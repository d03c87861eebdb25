"""Start a run anew: with the same event or an edited one, from its beginning or from one of its steps.

Note [A rerun is another run]
    The old run stays as it is. The new one names it and, if it begins at a step, that step; what it was
    given of the old one (memos, event) are copies. It has no idempotency key: an operator who asks twice
    gets two runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import transaction

from ..clock import Now
from ..conf import settings
from ..define.hooks import Place
from ..define.registry import registry
from ..define.timeouts import NO_TIMEOUTS
from ..exceptions import EventNotFound, InvalidStepInput, KeyInUse
from ..ids import new_id
from ..models import Event, Run, Step, StepStatus
from ..store.base import EventRow
from ..store.copy_steps import begin_at, copy_steps, replace_outputs
from ..store.event import StartRow, insert_events, start_runs
from .alias import get_alias
from .cancel_rule import arm, has_rules
from .event_row import to_row
from .find_hooks import Hooks, find_hooks
from .handle import RunHandle
from .nudge import Nudge
from .operate import UNCHANGED, UnchangedType, audit, lock
from .operate_runs import find_step
from .renew_event import renew_event
from .rerun_facts import find_key_holder
from .seal import seal, unseal
from .start import nudge_after_commit
from .step_input import encode_input
from .supply import find_sealing


@dataclass(frozen=True, slots=True)
class StepRef:
    """A step of a run: its id and its index, 0 for the first use of the id outside of groups."""

    id: str
    use: int = 0


def rerun(
    run_id: UUID | str,
    *,
    actor: str,
    reason: str = "",
    data: Mapping[str, Any] | UnchangedType = UNCHANGED,
    from_step: StepRef | None = None,
    step_input: Any = UNCHANGED,
    key: str | UnchangedType = UNCHANGED,
    unless_held: bool = False,
    using: str | None = None,
) -> RunHandle:
    """Start a new run of the same workflow with the same event.

    Args:
        data: What the event holds instead; the new run gets an event of its own then.
        from_step: Where the new run begins: what was completed before that step is copied.
        step_input: The arguments of that step instead of those that the code gives; see ``encode_input``.
        key: The key by which the new run is found instead of the old one's; empty for none.
        unless_held: Whether to refuse while another run, or the old one, has that key and has not ended.

    Raises:
        KeyInUse: It has, and nothing was started.
        RunNotFound, StepNotFound, EventNotFound: It, its step or its event is not stored.
        InvalidStepInput: The input does not fit the step, or there is no step that it is for.
        InvalidEvent, EventTooLarge, Unserializable: The data or the input cannot be stored.
    """
    using = using or get_alias()
    if from_step is None and step_input is not UNCHANGED:
        raise InvalidStepInput(step="", reason="there is no step to begin at")
    with transaction.atomic(using=using):
        run = lock(using, run_id)
        if key is not UNCHANGED:
            run.key = key[:255]
        if unless_held and (holder := find_key_holder(using, run)) is not None:
            raise KeyInUse(key=run.key, id=holder.id, status=holder.status)
        event = _find_event(using, run, data)
        start = _build_start(run, event)
        routed = start_runs(using, [], [start], renudge=settings.RENUDGE_SECONDS)
        if from_step is not None:
            _begin_at(using, run, start.id, find_step(using, run, from_step.id, from_step.use), step_input)
        if has_rules(run.workflow):
            arm(using, [(start, event)])
        audit(using, actor, "rerun", run, reason, _say(start, from_step, data, step_input, key))
        nudge_after_commit(using, [Nudge(*each) for each in routed.started])
    return RunHandle(start.id, using=using)


def _find_event(using: str, run: Run, data: Mapping[str, Any] | UnchangedType) -> EventRow:
    event = Event.objects.using(using).filter(id=run.event_id).first()
    if event is None:
        raise EventNotFound(id=run.event_id)
    if data is UNCHANGED:
        return to_row(event)
    row = renew_event(event, data, registry.find(run.workflow))
    return insert_events(using, [row], routed=True)[0]


def _build_start(run: Run, event: EventRow) -> StartRow:
    workflow = registry.find(run.workflow)
    limits = (workflow.timeouts if workflow else None) or NO_TIMEOUTS
    return StartRow(
        id=new_id(),
        workflow=run.workflow,
        event_id=event.id,
        start_key=None,
        key=run.key,
        origin="rerun",
        queue=run.queue,
        rerun_of=run.id,
        version=workflow.version if workflow else "",
        start_within=limits.start_seconds,
        finish_within=limits.finish_seconds,
    )


def _begin_at(using: str, run: Run, new_run: UUID, step: Step, step_input: Any) -> None:
    begin_at(using, new_run, step.name, step.index)
    copy_steps(using, run.id, new_run, before=step.pk)
    started = Run.objects.using(using).get(id=new_run)
    replace_outputs(using, list(_seal_again(using, run, started)))
    if step_input is not UNCHANGED:
        Step.objects.using(using).create(
            run_id=new_run,
            name=step.name,
            index=step.index,
            kind=step.kind,
            status=StepStatus.RETRYING,
            ready_at=Now(),
            input=encode_input(started, step, step_input),
        )


def _seal_again(using: str, old: Run, new: Run) -> Iterator[tuple[int, str]]:
    # What hooks have written is bound to the run that it was written for.
    if not find_hooks() and not any(workflow.hooks for workflow in registry):
        return
    for step in Step.objects.using(using).filter(run_id=new.id, output__isnull=False).order_by("id"):
        hooks: Hooks = find_sealing(using, old, step.kind, step.name, step.index)
        if hooks and step.output is not None and step.status == StepStatus.COMPLETED:
            places = [Place("step", str(run.id), step.name, step.index) for run in (old, new)]
            yield step.pk, seal(hooks, unseal(hooks, step.output, places[0]), places[1])


def _say(start: StartRow, from_step: StepRef | None, data: Any, step_input: Any, key: Any) -> str:
    parts = [f"started {start.id}"]
    if from_step is not None:
        parts.append(f"from step {from_step.id}")
    edited = [
        word
        for word, given in (("data", data), ("input", step_input), ("key", key))
        if given is not UNCHANGED
    ]
    return " ".join([*parts, *(["with edited", " and ".join(edited)] if edited else [])])
