"""Receive events from outside: stored in one transaction, committed when the call returns.

Note [A large batch is routed by the tick]
    Whoever sends thousands of events waits for their commit, not for the runs that they start: beyond
    ROUTE_AT_ONCE of them the tick routes what is left, as it does for a process that died.

Note [One statement is a transaction]
    ``insert_events`` stores its events all or none, so outside a transaction it needs none around it: the
    statement commits itself, which spares two round trips to the database.
"""

from __future__ import annotations

from collections.abc import Sequence

from django.db import transaction

from ..store.base import EventRow
from ..store.event import insert_events
from .backlog import check_backlog
from .nudge import expect
from .route import route_after_commit
from .sweep import ROUTE_AFTER

ROUTE_AT_ONCE = 100


def receive_batch(using: str, rows: Sequence[EventRow]) -> None:
    """Store the events, all or none; ids that are known already are left alone.

    Returns only when they are committed; must not be called inside a transaction.

    Raises:
        BacklogFull: Too many events wait to be routed; nothing was stored.
    """
    if not rows:
        return
    check_backlog(using)
    if transaction.get_autocommit(using):
        announce_batch(using, insert_events(using, rows))
        return
    with transaction.atomic(using=using, durable=True):  # refuses to be inside another
        announce_batch(using, insert_events(using, rows))


def announce_batch(using: str, rows: Sequence[EventRow]) -> None:
    """Route the events after the commit of the open transaction, beyond the first ones by the tick."""
    route_after_commit(using, rows[:ROUTE_AT_ONCE])
    if len(rows) > ROUTE_AT_ONCE:
        transaction.on_commit(_hurry, using=using, robust=True)


def _hurry() -> None:
    expect(ROUTE_AFTER)
