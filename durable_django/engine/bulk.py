"""Start, stop and continue bulk operations; the workers carry them out, see ``bulk_work.py``.

Note [The cut-off of a bulk operation]
    It is the database's time when the operation is stored, or when its operator was shown how many rows match.
    Rows created after it are not touched, so runs that the operation itself starts, and those that come while it
    works, are safe from it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db import connections, transaction
from django.db.models import F, QuerySet

from ..clock import Now, read_now
from ..exceptions import BulkInvalid, BulkNotFound, BulkRefused
from ..models import AuditEntry, BulkOperation, BulkState
from ..models.audit import acting_for
from .alias import get_alias
from .bulk_actions import BulkAction, find_action, read_chosen, select_rows
from .codec import encode

COUNTED: Final = 10_000
"""Rows that are counted one by one; more are estimated."""


@dataclass(frozen=True, slots=True)
class Preview:
    """How many rows a filter matches now, and some of them; not ``exact`` means about, None unknown."""

    matched: int | None
    exact: bool
    samples: list[Any]


def preview_bulk(action: str, chosen: Any, *, using: str | None = None, samples: int = 10) -> Preview:
    """Look at what an operation would be about; changes nothing.

    Raises:
        BulkInvalid: The action or the filter makes no sense.
    """
    using = using or get_alias()
    known = find_action(action)
    rows = select_rows(using, known, read_chosen(known, chosen), None)
    # Unsorted: to find the first of a million the database would have to find them all.
    first = sorted(rows.order_by()[:samples], key=lambda row: row.pk)
    if len(first) < samples:
        return Preview(len(first), True, first)
    count = rows.order_by()[: COUNTED + 1].values("pk").count()
    if count <= COUNTED:
        return Preview(count, True, first)
    return Preview(_estimate(using, rows), False, first)


def _estimate(using: str, rows: QuerySet[Any]) -> int | None:
    if connections[using].vendor != "postgresql":
        return None
    plan = json.loads(rows.order_by().explain(format="json"))
    return max(round(int(plan[0]["Plan"]["Plan Rows"]), -2), COUNTED)


def start_bulk(
    action: str,
    chosen: Any,
    *,
    actor: str,
    reason: str = "",
    arguments: Mapping[str, Any] | None = None,
    matched: Preview | None = None,
    cutoff: datetime | None = None,
    using: str | None = None,
) -> BulkOperation:
    """Store a bulk operation, which a worker takes up within seconds.

    Args:
        action: A key of ``bulk_actions.ACTIONS``.
        chosen: Names and values of ``bulk_filter.RUN_FIELDS`` or ``WAIT_FIELDS``; at least one.
        arguments: What the action is given besides: the ``value`` of resolve, or ``children`` of cancel, which
            also cancels what the runs have started.
        matched: What its operator was told of how many rows match.
        cutoff: When they were told so; now if None or later than that.

    Returns:
        The operation.

    Raises:
        BulkInvalid: The action, the filter or the arguments make no sense.
    """
    using = using or get_alias()
    known = find_action(action)
    stored = read_chosen(known, chosen)
    given = _encode(action, known, arguments or {})
    with transaction.atomic(using=using):
        now = read_now(using)
        bulk = BulkOperation.objects.using(using).create(
            action=action,
            filter=stored,
            arguments=given,
            actor=actor[:120],
            reason=reason[:255],
            matched=matched.matched if matched else None,
            matched_exactly=matched.exact if matched else False,
            cutoff=now if cutoff is None else min(cutoff, now),
        )
        _audit(using, bulk, actor, f"bulk {action}", reason, "started")
    return bulk


def stop_bulk(number: int, *, actor: str, reason: str = "", using: str | None = None) -> BulkOperation:
    """Stop a bulk operation; once this is committed no further row changes.

    Raises:
        BulkNotFound: It is not stored.
        BulkRefused: It has ended or was stopped.
    """
    changes = {"state": BulkState.STOPPED, "owner": "", "lease_until": None}
    return _move(using or get_alias(), number, BulkState.RUNNING, changes, actor, "stop", reason)


def continue_bulk(number: int, *, actor: str, reason: str = "", using: str | None = None) -> BulkOperation:
    """Let a stopped bulk operation go on behind the last row that it looked at, with the same cut-off.

    Raises:
        BulkNotFound: It is not stored.
        BulkRefused: It was not stopped.
    """
    changes = {"state": BulkState.RUNNING}
    return _move(using or get_alias(), number, BulkState.STOPPED, changes, actor, "continue", reason)


def find_bulk(using: str, number: int) -> BulkOperation:
    """Return a bulk operation.

    Raises:
        BulkNotFound: It is not stored.
    """
    bulk = BulkOperation.objects.using(using).filter(pk=number).first()
    if bulk is None:
        raise BulkNotFound(id=number)
    return bulk


def _move(
    using: str, number: int, state: BulkState, changes: dict[str, Any], actor: str, verb: str, reason: str
) -> BulkOperation:
    with transaction.atomic(using=using):
        rows = BulkOperation.objects.using(using).filter(pk=number, state=state)
        # The new token takes the operation away from the worker that has it.
        changed = rows.update(**changes, token=F("token") + 1, changed_at=Now())
        bulk = find_bulk(using, number)
        if not changed:
            raise BulkRefused(id=number, state=bulk.state, action=verb, needs=f"one that is {state.value}")
        _audit(using, bulk, actor, f"bulk {verb}", reason, f"{changes['state'].value}")
    return bulk


def _encode(name: str, action: BulkAction, arguments: Mapping[str, Any]) -> str:
    if set(arguments) - set(action.flags) != set(action.arguments):
        wanted = ", ".join(action.arguments) or "no arguments"
        if action.flags:
            wanted += f", and takes {', '.join(action.flags)}"
        raise BulkInvalid(reason=f"{name} needs {wanted}, not {', '.join(sorted(arguments)) or 'none'}")
    if wrong := [each for each in action.flags if not isinstance(arguments.get(each, False), bool)]:
        raise BulkInvalid(reason=f"{wrong[0]} is neither true nor false")
    return encode(dict(arguments), what="the arguments of a bulk operation")


def _audit(using: str, bulk: BulkOperation, actor: str, action: str, reason: str, result: str) -> None:
    with acting_for(bulk.pk):
        AuditEntry.objects.using(using).create(
            actor=actor[:120],
            action=action,
            workflow=str(bulk.filter.get("workflow", "")),
            reason=reason[:255],
            result=result,
        )
