"""Carry bulk operations out: in any process that ticks, row by row, until they are done or stopped.

Note [A bulk operation acts once on each row]
    A row is changed in the transaction that moves the cursor past it, by an update that names the worker's
    token and the cursor's old place. So a worker that dies in between has done both or neither, the next one
    goes on behind the cursor, and a worker that lost its lease, or whose operation was stopped, undoes the
    row that it was at. What a row refuses is counted and logged, and passed over.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from django.db import InterfaceError, OperationalError, transaction
from django.db.models import F, Q, QuerySet

from ..clock import Now
from ..conf import settings
from ..exceptions import DurableError
from ..models import BulkOperation, BulkState, Run, Wait
from ..models.audit import acting_for
from ..store.retrying import repeatable
from .bulk_actions import BulkAction, find_action, select_rows
from .cancel import lock_run
from .codec import decode
from .identity import get_owner
from .refusal import record_refusal

logger = logging.getLogger("durable_django.bulk")

BATCH: Final = 500
DONE, SKIPPED, FAILED = "done", "skipped", "failed"

IsOver = Callable[[], bool]


class _Lost(Exception):
    """The operation was stopped, or another worker has it."""


@dataclass(slots=True)
class _Held:
    """A bulk operation that this process carries out under ``token``, and how far it has come."""

    id: int
    token: int
    cursor: str
    action: BulkAction
    name: str
    arguments: dict[str, Any]
    row: BulkOperation


def share_bulk(using: str, seconds: float) -> int:
    """Carry out what there is to do for at most so long; return how many rows were looked at."""
    end = time.monotonic() + seconds
    return work_bulk(using, is_over=lambda: time.monotonic() >= end)


def work_bulk(using: str, *, is_over: IsOver) -> int:
    """Carry out what there is to do until ``is_over`` says so; return how many rows were looked at.

    An operation that another worker has is left to it, until its lease has ended.
    """
    seen = 0
    while not is_over():
        held = _claim(using)
        if held is None:
            break
        seen += _carry_on(using, held, is_over)
    return seen


def _list_free(using: str) -> QuerySet[BulkOperation]:
    free = Q(lease_until__isnull=True) | Q(lease_until__lte=Now())
    return BulkOperation.objects.using(using).filter(free, state=BulkState.RUNNING)


def _claim(using: str) -> _Held | None:
    rows = _list_free(using)
    for row in rows.order_by("pk")[:10]:
        taken = rows.filter(pk=row.pk, token=row.token).update(
            token=F("token") + 1, owner=get_owner()[:120], lease_until=_lease()
        )
        if taken and (held := _open(using, row)):
            return held
    return None


def _open(using: str, row: BulkOperation) -> _Held | None:
    try:
        action, arguments = find_action(row.action), decode(row.arguments)
    except DurableError:
        # Stored by other code than this. Left running, it would come back with the end of each lease.
        logger.exception("a bulk operation cannot be read and is stopped", extra={"bulk_id": row.pk})
        BulkOperation.objects.using(using).filter(pk=row.pk).update(
            state=BulkState.STOPPED, owner="", lease_until=None, changed_at=Now()
        )
        return None
    return _Held(row.pk, row.token + 1, row.cursor, action, row.action, arguments, row)


def _lease() -> Any:
    return Now() + timedelta(seconds=settings.LEASE_SECONDS)


def _carry_on(using: str, held: _Held, is_over: IsOver) -> int:
    seen = 0
    try:
        with acting_for(held.id):
            while keys := _read_page(using, held):
                for key, alone in keys:
                    if is_over():
                        _change(using, held, owner="", lease_until=None)
                        return seen
                    _pass(using, held, key, alone)
                    seen += 1
        _change(using, held, state=BulkState.FINISHED, owner="", lease_until=None, ended_at=Now())
    except _Lost:
        logger.info("a bulk operation was stopped or taken over", extra={"bulk_id": held.id})
    return seen


def _read_page(using: str, held: _Held) -> list[tuple[Any, bool]]:
    """Return the next keys, each with whether its row is the only one that must be locked."""
    rows = select_rows(using, held.action, held.row.filter, held.row.cutoff)
    if held.cursor:
        rows = rows.filter(pk__gt=held.cursor)
    rows = rows.order_by("pk")
    if held.action.model is Wait or held.name == "retry":
        return [(key, False) for key in rows.values_list("pk", flat=True)[:BATCH]]
    return [(key, parent is None) for key, parent in rows.values_list("pk", "parent_id")[:BATCH]]


def _change(using: str, held: _Held, **changes: Any) -> None:
    mine = BulkOperation.objects.using(using).filter(pk=held.id, token=held.token, state=BulkState.RUNNING)
    if not mine.update(changed_at=Now(), **changes):
        raise _Lost


def _pass(using: str, held: _Held, key: Any, alone: bool) -> None:
    try:
        _act(using, held, key, alone)
    except (_Lost, OperationalError, InterfaceError):
        raise
    except Exception as error:
        # Whatever is wrong with one row must not keep the operation from the others.
        logger.exception("a row of a bulk operation failed", extra={"bulk_id": held.id, "key": str(key)})
        _note(using, held, key, FAILED, f"failed: {type(error).__name__}: {error}")
    held.cursor = str(key)


@repeatable
def _act(using: str, held: _Held, key: Any, alone: bool) -> None:
    with transaction.atomic(using=using):
        outcome = SKIPPED
        if _lock(using, held, key, alone):
            outcome = _call(using, held, key)
        _move_past(using, held, key, outcome)


def _lock(using: str, held: _Held, key: Any, alone: bool) -> bool:
    """Lock the run, and tell whether the row is still one that the filter chooses."""
    rows = select_rows(using, held.action, held.row.filter, held.row.cutoff).filter(pk=key)
    if alone:
        return bool(list(rows.select_for_update().values_list("pk")))
    run_id = key
    if held.action.model is Wait:
        run_id = Wait.objects.using(using).filter(pk=key).values_list("run_id", flat=True).first()
    if run_id is None or lock_run(using, run_id, children=held.name == "retry") is None:
        return False
    return rows.exists()


def _call(using: str, held: _Held, key: Any) -> str:
    try:
        # What an operation refuses it has undone itself: each is atomic.
        held.action.call(key, actor=held.row.actor, reason=held.row.reason, using=using, **held.arguments)
    except DurableError as error:
        _log(using, held, key, f"refused: {error.message}")
        return SKIPPED
    return DONE


@repeatable
def _note(using: str, held: _Held, key: Any, outcome: str, result: str) -> None:
    with transaction.atomic(using=using):
        _log(using, held, key, result)
        _move_past(using, held, key, outcome)


def _log(using: str, held: _Held, key: Any, result: str) -> None:
    record_refusal(
        using,
        actor=held.row.actor,
        action=held.name,
        run_id=key if held.action.model is Run else None,
        reason=held.row.reason,
        result=result if held.action.model is Run else f"wait {key} {result}",
    )


def _move_past(using: str, held: _Held, key: Any, outcome: str) -> None:
    mine = BulkOperation.objects.using(using).filter(
        pk=held.id, token=held.token, state=BulkState.RUNNING, cursor=held.cursor
    )
    counted: dict[str, Any] = {outcome: F(outcome) + 1}
    if not mine.update(cursor=str(key), lease_until=_lease(), changed_at=Now(), **counted):
        raise _Lost
