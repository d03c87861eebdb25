"""A bulk operation as an object with stable keys, for commands and the HTTP API."""

from __future__ import annotations

from typing import Any

from ..models import BulkOperation


def bulk_as_dict(bulk: BulkOperation) -> dict[str, Any]:
    """Return the operation and how far it has come; its arguments are payload and stay out."""
    return {
        "id": bulk.pk,
        "action": bulk.action,
        "filter": bulk.filter,
        "state": bulk.state,
        "actor": bulk.actor,
        "reason": bulk.reason or None,
        "cutoff": bulk.cutoff,
        "matched": bulk.matched,
        "matched_exactly": bulk.matched_exactly,
        "done": bulk.done,
        "skipped": bulk.skipped,
        "failed": bulk.failed,
        "worker": bulk.owner or None,
        "created_at": bulk.created_at,
        "changed_at": bulk.changed_at,
        "ended_at": bulk.ended_at,
    }
