"""Signals: one open wait a name; a signal goes to it or to nobody.

Note [One waiter a signal]
    A partial unique index holds one open wait a name, whoever races. A parking that wants a name locks its
    own run and the holder's, ends the holder's wait if it may, and stores its own; if another run was
    quicker its wait is not there afterwards, all is rolled back, and it starts over with the new holder.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db import transaction

from ..clock import now_sql
from .base import WAIT, WaitWrite, adapt_id, cursor, is_postgres, read_id, writing
from .branch import BranchEnd, end_branch
from .park import Park, park_run
from .retrying import repeatable
from .wake import count_ended, lock_runs, queue_waiting


@dataclass(frozen=True, slots=True)
class Taken:
    """A signal that the run may not wait for, since another wait holds it."""

    signal: str
    run_id: UUID


@dataclass(frozen=True, slots=True)
class Claim:
    """What became of a parking; ``woken`` are displaced runs as (id, workflow, queue)."""

    parked: bool
    taken: Taken | None = None
    woken: list[tuple[UUID, str, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Holder:
    wait_id: int
    run_id: UUID
    place: tuple[str, int, int]
    signal: str
    expired: bool


class _Overtaken(Exception):
    """Another run changed who holds a name; nothing may stay of this try."""


class _NotParked(Exception):
    """The run could not be parked, so that nobody may be displaced for it."""


@repeatable
def park_for_signals(using: str, park: Park, *, renudge: float) -> Claim:
    """Park a run that waits for signals, if it may have all of their names."""
    while True:
        try:
            with transaction.atomic(using=using), cursor(using) as handle:
                return _park(using, handle, park, renudge)
        except _NotParked:
            return Claim(False)
        except _Overtaken:
            continue


def _park(using: str, handle: Any, park: Park, renudge: float) -> Claim:
    wanted: dict[str, WaitWrite] = {}
    for wait in park.waits:
        if wait.signal in wanted:
            return Claim(False, Taken(wait.signal, park.run_id))
        if wait.signal:
            wanted[wait.signal] = wait
    locked = {park.run_id, *(holder.run_id for holder in _find_holders(using, handle, list(wanted)))}
    lock_runs(using, handle, locked)
    holders = [
        holder
        for holder in _find_holders(using, handle, list(wanted))
        if (holder.run_id, holder.place) != (park.run_id, _place(wanted[holder.signal]))
    ]
    for holder in holders:
        if holder.run_id not in locked:
            raise _Overtaken
        if not (holder.expired or wanted[holder.signal].replaces):
            return Claim(False, Taken(holder.signal, holder.run_id))
    displaced = [holder.run_id for holder in holders if _displace(using, handle, holder, park.run_id)]
    if not park_run(using, park):
        raise _NotParked
    if not _are_stored(using, handle, park.run_id, wanted.values()):
        raise _Overtaken
    return Claim(True, woken=_wake(using, handle, displaced, park.run_id, renudge))


def _place(wait: WaitWrite) -> tuple[str, int, int]:
    return wait.name, wait.index, wait.branch


def _find_holders(using: str, handle: Any, signals: Sequence[str]) -> list[_Holder]:
    now = now_sql("postgresql" if is_postgres(using) else "sqlite")
    handle.execute(
        f'SELECT id, run_id, name, "index", branch, signal, expires_at <= {now} FROM {WAIT} '
        f"WHERE signal IN ({_marks(signals)}) AND status = 'open' AND signal > ''",
        list(signals),
    )
    return [
        _Holder(row[0], read_id(row[1]), (row[2], row[3], row[4]), row[5], bool(row[6]))
        for row in handle.fetchall()
    ]


def _displace(using: str, handle: Any, holder: _Holder, parking: UUID) -> bool:
    status = "expired" if holder.expired else "displaced"
    end = BranchEnd(wait_id=holder.wait_id, run_id=holder.run_id, status=status)
    # The count of the parking run must stay what it is until the run is parked.
    return end_branch(using, handle, end, counted=holder.run_id != parking)


def _are_stored(using: str, handle: Any, run_id: UUID, waits: Any) -> bool:
    handle.execute(
        f"SELECT name, \"index\", branch FROM {WAIT} WHERE run_id = %s AND signal > ''",
        [adapt_id(using, run_id)],
    )
    return {_place(wait) for wait in waits} <= {tuple(row) for row in handle.fetchall()}


def _wake(
    using: str, handle: Any, displaced: Sequence[UUID], parked: UUID, renudge: float
) -> list[tuple[UUID, str, str]]:
    woken: list[tuple[UUID, str, str]] = []
    for run_id in displaced:
        if run_id == parked:
            count_ended(using, handle, run_id)
        woken += queue_waiting(using, handle, run_id, renudge)
    return woken


@dataclass(slots=True)
class Delivery:
    """One sending of a signal; ``wait_id`` is where it went, should the commit have to be repeated."""

    id: UUID
    signal: str
    output: str
    wait_id: int | None = None


@repeatable
def deliver_signal(
    using: str, delivery: Delivery, *, renudge: float
) -> tuple[UUID, list[tuple[UUID, str, str]]] | None:
    """End the one wait that is open for the signal; return its run and who is queued by it, or None."""
    with writing(using) as handle:
        if delivery.wait_id is not None and (run_id := _find_delivered(using, handle, delivery)):
            return run_id, []
        while (found := _find_open(using, handle, delivery.signal)) is not None:
            delivery.wait_id, run_id = found
            end = BranchEnd(
                wait_id=delivery.wait_id,
                run_id=run_id,
                status="matched",
                output=delivery.output,
                event_id=delivery.id,
            )
            lock_runs(using, handle, [run_id])
            if not _is_open(using, handle, delivery.wait_id):
                continue
            ended = end_branch(using, handle, end)
            return run_id, queue_waiting(using, handle, run_id, renudge) if ended else []
    return None


def _open_sql(using: str) -> str:
    now = now_sql("postgresql" if is_postgres(using) else "sqlite")
    return f"status = 'open' AND expires_at > {now}"


def _find_open(using: str, handle: Any, signal: str) -> tuple[int, UUID] | None:
    handle.execute(
        f"SELECT id, run_id FROM {WAIT} WHERE signal = %s AND signal > '' AND {_open_sql(using)}", [signal]
    )
    row = handle.fetchone()
    return (row[0], read_id(row[1])) if row else None


def _is_open(using: str, handle: Any, wait_id: int) -> bool:
    handle.execute(f"SELECT 1 FROM {WAIT} WHERE id = %s AND {_open_sql(using)}", [wait_id])
    return handle.fetchone() is not None


def _find_delivered(using: str, handle: Any, delivery: Delivery) -> UUID | None:
    handle.execute(
        f"SELECT run_id FROM {WAIT} WHERE id = %s AND event_id = %s",
        [delivery.wait_id, adapt_id(using, delivery.id)],
    )
    row = handle.fetchone()
    return read_id(row[0]) if row else None


def _marks(values: Sequence[Any]) -> str:
    return ", ".join(["%s"] * len(values))
