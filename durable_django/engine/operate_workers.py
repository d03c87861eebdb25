"""What operators do to workers: let one finish what it has and take nothing new, or take runs again."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from ..clock import Now, read_time
from ..exceptions import WorkerNotFound, WorkerRefused
from ..models import Worker
from ..models.worker import STOPPING
from ..store.worker import TICK
from .alias import get_alias
from .diagnose import ALIVE_SECONDS
from .operate import audit


def drain_worker(name: str, *, actor: str, reason: str = "", using: str | None = None) -> Worker:
    """Let a worker finish what it has and take nothing new; it learns it with its next report, in 10 seconds.

    Raises:
        WorkerNotFound: None of that name has reported itself.
        WorkerRefused: It is stopping already, or lost.
    """
    return _move(using or get_alias(), name, "drain", actor, reason)


def undrain_worker(name: str, *, actor: str, reason: str = "", using: str | None = None) -> Worker:
    """Let a worker that was drained take runs again.

    Raises:
        WorkerNotFound: None of that name has reported itself.
        WorkerRefused: It takes runs, or is lost.
    """
    return _move(using or get_alias(), name, "undrain", actor, reason)


def read_state(row: Any) -> str:
    """Return what a worker is that was read with the database's time as ``now``: live, stopping or lost."""
    if (read_time(row.now) - read_time(row.seen_at)).total_seconds() > ALIVE_SECONDS:
        return "lost"
    return "stopping" if row.is_stopping else "live"


def worker_as_dict(row: Any) -> dict[str, Any]:
    """Return such a worker as an object with stable keys, for commands and the HTTP API."""
    return {
        "name": row.name,
        "state": read_state(row),
        "kind": row.own_kind,
        "queues": [name for name in row.queues.split(",") if name],
        "package": row.package,
        "code": row.code,
        "slots": row.slots,
        "busy": row.busy,
        "last_error": row.last_error,
        "last_error_at": row.last_error_at,
        "started_at": row.started_at,
        "seen_at": row.seen_at,
    }


def list_workers(using: str) -> QuerySet[Any]:
    """Return the processes that report themselves, each with the database's time as ``now``."""
    return Worker.objects.using(using).exclude(name=TICK).annotate(now=Now()).order_by("name")


def _move(using: str, name: str, verb: str, actor: str, reason: str) -> Worker:
    needs = "live" if verb == "drain" else "stopping"
    with transaction.atomic(using=using):
        row: Worker = _lock(using, name)
        if (state := read_state(row)) != needs:
            raise WorkerRefused(name=name, status=state, action=verb, needs=f"one that is {needs}")
        row.kind = row.own_kind + (STOPPING if verb == "drain" else "")
        row.save(using=using, update_fields=["kind"])
        audit(using, actor, verb, None, reason, f"worker {name}")
    return row


def _lock(using: str, name: str) -> Any:
    row = list_workers(using).select_for_update().filter(name=name).first() if "\x00" not in name else None
    if row is None:
        raise WorkerNotFound(name=name)
    return row
