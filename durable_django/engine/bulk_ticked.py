"""Keep what was done at once to a few chosen runs as a bulk operation that has ended, so that it can be looked up."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from ..clock import Now
from ..models import BulkOperation, BulkState
from .bulk_actions import find_action, read_chosen


def open_ticked(
    using: str, action: str, ids: Sequence[UUID], *, actor: str, reason: str = ""
) -> BulkOperation:
    """Store the operation, before anything is done; no worker takes it up.

    Args:
        action: A key of ``bulk_actions.ACTIONS``.
        ids: The runs that were chosen.
    """
    chosen = read_chosen(find_action(action), {"ids": [str(each) for each in ids]})
    return BulkOperation.objects.using(using).create(
        action=action,
        filter=chosen,
        state=BulkState.FINISHED,
        actor=actor[:120],
        reason=reason[:255],
        matched=len(ids),
        matched_exactly=True,
    )


def close_ticked(using: str, bulk: BulkOperation, *, done: int, skipped: int) -> None:
    """Store how many runs were changed, and how many were left alone."""
    rows = BulkOperation.objects.using(using).filter(pk=bulk.pk)
    rows.update(done=done, skipped=skipped, changed_at=Now(), ended_at=Now())
