"""Skip the runs that have come while their workflow was paused so; see ``store/paused.py``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from django.db import transaction

from ..store.paused import find_skipped
from ..store.retrying import repeatable
from .cancel import end_cancelled, lock_run

BATCH: Final = 500


def skip_runs(using: str, run_ids: Sequence[UUID]) -> int:
    """Cancel those of the paused runs that are to be skipped; return how many."""
    if not run_ids:
        return 0
    return sum(_skip(using, each) for each in find_skipped(using, ids=run_ids, limit=len(run_ids)))


def skip_all(using: str, workflow: str) -> int:
    """Cancel all runs of the workflow that are to be skipped; return how many."""
    skipped = 0
    while found := find_skipped(using, workflow=workflow, limit=BATCH):
        skipped += sum(_skip(using, each) for each in found)
    return skipped


@repeatable
def _skip(using: str, run_id: UUID) -> bool:
    with transaction.atomic(using=using):
        run = lock_run(using, run_id)
        # Asked again under the lock: the workflow may have been resumed, the run cancelled.
        if run is None or not find_skipped(using, ids=[run_id], limit=1):
            return False
        return end_cancelled(using, run, f"skipped: {run.workflow} was paused")
