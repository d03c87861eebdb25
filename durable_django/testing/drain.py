"""Execute everything that can be executed now, and move the clock."""

from __future__ import annotations

from .. import clock
from ..conf import settings
from ..duration import parse_duration
from ..engine.alias import get_alias
from ..engine.bulk_work import work_bulk
from ..engine.execute import execute_run
from ..engine.expire import cancel_overdue
from ..engine.fire import fire_due
from ..engine.identity import get_owner
from ..engine.route import route_stored
from ..engine.sweep import skip_paused
from ..models import Run, RunStatus
from ..store.claim import claim_runs
from ..store.lease import wake_due
from ..types import Duration


def drain(*, using: str | None = None, slices: int = 10_000) -> int:
    """Route and execute until nothing is left that is due; return how many slices were executed.

    Works inside a test's transaction, where ``on_commit`` never fires.

    Args:
        slices: A bound, for workflows that never come to rest.

    Raises:
        RuntimeError: The bound was reached.
    """
    using = using or get_alias()
    cancel_overdue(using, limit=settings.TICK_BATCH)
    work_bulk(using, is_over=lambda: False)
    done = 0
    while done < slices:
        executed = _drain_once(using)
        if not executed:
            return done
        done += executed
    raise RuntimeError(f"drain() executed {done} slices and there is still work; is there an endless loop?")


def _drain_once(using: str) -> int:
    fire_due(using)
    route_stored(using)
    skip_paused(using, wake_due(using, limit=settings.TICK_BATCH, renudge=settings.RENUDGE_SECONDS))
    queued = Run.objects.using(using).filter(status=RunStatus.QUEUED).order_by("id")
    ids = list(queued.values_list("id", flat=True)[:100])
    claimed = (
        claim_runs(using, owner=get_owner(), lease=settings.LEASE_SECONDS, ids=ids, limit=100) if ids else []
    )
    for run in claimed:
        execute_run(using, run)
    return len(claimed)


def advance(duration: Duration, *, using: str | None = None) -> int:
    """Let time pass for the engine, then drain; return how many slices were executed."""
    using = using or get_alias()
    fire_due(using)  # a schedule counts from when it was first seen
    clock.travel(parse_duration(duration))
    return drain(using=using)


def reset_clock() -> None:
    """Take back every ``advance``."""
    clock.reset()
