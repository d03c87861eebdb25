"""Cancel a run, whoever asks for it: operators, cancel rules, time-outs."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from ..clock import Now
from ..models import Event, Run, RunResult, Wait, WaitKey, WaitStatus
from ..store.base import EventRow, Parent
from .end import tell_end
from .event_row import to_row
from .lifecycle import list_heard
from .status import cancel_live


def lock_family(using: str, run_id: UUID) -> list[Run]:
    """Lock a run, and all that it and its children have started and that has not ended; the run comes first.

    A run that is locked starts no others, so what is found under the locks is all there is.
    """
    held = {run_id}
    while True:
        locked = lock_runs_and_parents(using, held)
        found = _find_living(using, run_id)
        if found <= held:
            runs = [locked[each] for each in held if each in locked]
            return sorted(runs, key=lambda run: (run.id != run_id, run.depth, run.id))
        held |= found


def _find_living(using: str, run_id: UUID) -> set[UUID]:
    # Also below runs that have ended: a child goes on when the step that waited for it has timed out.
    living: set[UUID] = set()
    level = [run_id]
    while level:
        children = Run.objects.using(using).filter(parent_id__in=level).values_list("id", "ended_at")
        found = list(children)
        living |= {each for each, ended_at in found if ended_at is None}
        level = [each for each, _ in found]
    return living


def lock_run(using: str, run_id: UUID | str, *, children: bool = False) -> Run | None:
    """Lock a run, the run that waits for it, and perhaps its children, in the caller's transaction."""
    wanted = UUID(str(run_id))
    found = Run.objects.using(using).filter(parent_id=wanted).values_list("id", flat=True)
    return lock_runs_and_parents(using, [wanted, *(found if children else [])]).get(wanted)


def lock_runs_and_parents(using: str, run_ids: Collection[UUID]) -> dict[UUID, Run]:
    """Lock runs, and the runs that wait for them, in order of id, in the caller's transaction.

    SQLite ignores the lock; its transaction excludes all writers.
    """
    runs = Run.objects.using(using)
    parents = runs.filter(id__in=run_ids, parent_id__isnull=False).values_list("parent_id", flat=True)
    wanted = {*run_ids, *(each for each in parents if each)}
    return {run.id: run for run in runs.select_for_update().filter(id__in=wanted).order_by("id")}


def end_cancelled(using: str, run: Run, reason: str) -> bool:
    """End a run as cancelled, in the caller's transaction, which has locked it; False if it had ended."""
    if not cancel_live(using, run.id, reason):
        return False
    RunResult.objects.using(using).update_or_create(run_id=run.id, defaults={"output": None, "error": None})
    _close_waits(using, run)
    tell_end(
        using,
        run_id=run.id,
        workflow=run.workflow,
        origin=run.origin,
        parent=Parent(run.parent_id, run.parent_step, run.parent_index) if run.parent_id else None,
        event=read_event_row(using, run) if list_heard(run.workflow, run.origin, "cancelled") else None,
        status="cancelled",
        reason=reason,
    )
    return True


def _close_waits(using: str, run: Run) -> None:
    WaitKey.objects.using(using).filter(wait__run_id=run.id).delete()
    open_waits = Wait.objects.using(using).filter(run_id=run.id, status=WaitStatus.OPEN)
    open_waits.update(status=WaitStatus.CLOSED, ended_at=Now())


def read_event_row(using: str, run: Run) -> EventRow | None:
    """Return the event that started a run, unless somebody has deleted it."""
    event = Event.objects.using(using).filter(id=run.event_id).first()
    return None if event is None else to_row(event)
