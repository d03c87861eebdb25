"""Park a run: store what it waits for and give the lease back, in one commit.

Note [Parking notices a wait that just ended]
    ``wakeups`` counts the waits of the run that ended. A slice parks only if the count is the one that it
    started from; otherwise something ended meanwhile, nothing is stored, and the slice replays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any
from uuid import UUID

from ..clock import later_sql, now_sql
from .arrays import arrays_sql, write_columns
from .base import (
    ATTEMPT,
    NOTHING_TO_NOTE,
    RUN,
    STEP,
    WAIT,
    WAIT_KEY,
    AttemptWrite,
    Notes,
    StepWrite,
    WaitWrite,
    adapt_id,
    cursor,
    is_postgres,
    writing,
)
from .branch import compose_all
from .checkpoint import insert_sql, item_params, item_sql
from .checkpoint_sqlite import insert_sqlite
from .park_waits import insert_wait, waits_params, waits_sql
from .prepared import Statement
from .retrying import repeatable


@dataclass(frozen=True, slots=True, kw_only=True)
class Park:
    """The orderly end of a slice that is not the end of its run; times are seconds from now."""

    run_id: UUID
    token: int
    wakeups: int | None  # None: park even if a wait ended meanwhile
    waits_for: str
    wake_in: float
    status: str = "waiting"
    attempt: int = 0
    attempt_steps: int = 0
    crash_count: int = 0
    steps: Sequence[StepWrite] = field(default=())
    waits: Sequence[WaitWrite] = field(default=())
    attempts: Sequence[AttemptWrite] = field(default=())
    notes: Notes = NOTHING_TO_NOTE

    def until_look(self, seconds: float) -> Park:
        """Return the same parking with a next look that counts as one after a crash."""
        return replace(self, wake_in=seconds, crash_count=1)


@repeatable
def park_run(using: str, park: Park) -> bool:
    """Store the parking; return False if the lease is lost or a wait of the run ended meanwhile."""
    return _park_postgres(using, park) if is_postgres(using) else _park_sqlite(using, park)


def _set_sql(vendor: str) -> str:
    wake_at = later_sql(vendor, "CAST(%s AS double precision)")
    return (
        "status = CAST(%s AS text), waits_for = CAST(%s AS text), "
        f"wake_at = {wake_at}, attempt = CAST(%s AS integer), attempt_steps = CAST(%s AS integer), "
        "crash_count = CAST(%s AS integer), owner = '', "
        "version = COALESCE(CAST(%s AS text), version), warning = COALESCE(CAST(%s AS text), warning)"
    )


def _set_params(park: Park) -> list[Any]:
    own = [park.status, park.waits_for, park.wake_in, park.attempt, park.attempt_steps, park.crash_count]
    return [*own, park.notes.version, park.notes.warning]


def _park_postgres(using: str, park: Park) -> bool:
    params = [*_set_params(park), park.run_id, park.token, park.wakeups]
    if park.steps:
        params += item_params(park.steps)
    if park.attempts:
        params += attempts_params(park.attempts, park.token)
    if park.waits:
        params += waits_params(park.waits)
    shape = (bool(park.steps), bool(park.attempts), bool(park.waits))
    return bool(_park_statement(now_sql("postgresql"), *shape).run(using, params).count)


@lru_cache(maxsize=16)
def _park_statement(now: str, steps: bool, attempts: bool, waits: bool) -> Statement:
    """Return the statement of ``_park_postgres``; ``now`` differs in tests only."""
    sql = (
        f"WITH parked AS (UPDATE {RUN} SET {_set_sql('postgresql')} WHERE id = %s::uuid AND token = %s::bigint "
        "AND status = 'running' AND wakeups = COALESCE(%s::integer, wakeups) "
        "RETURNING id, token, arrival, event_id)"
    )
    if steps:
        sql += f", {item_sql()}, steps AS ({insert_sql('parked', ordered=True)})"
    if attempts:
        sql += f", attempts AS ({attempts_sql('parked')})"
    if waits:
        sql += waits_sql()
    return Statement(f"{sql} SELECT id FROM parked", f"UPDATE {RUN} (park)")


def _park_sqlite(using: str, park: Park) -> bool:
    run_id = adapt_id(using, park.run_id)
    with writing(using) as handle:
        handle.execute(
            f"UPDATE {RUN} SET {_set_sql('sqlite')} WHERE id = %s AND token = %s AND status = 'running' "
            "AND wakeups = COALESCE(%s, wakeups) RETURNING id",
            [*_set_params(park), run_id, park.token, park.wakeups],
        )
        if handle.fetchone() is None:
            return False
        for step in park.steps:
            insert_sqlite(using, handle, step, status=park.status)
        for attempt in park.attempts:
            params = attempt_params(attempt, park.token)
            handle.execute(f"{attempt_sql('sqlite')} FROM {RUN} WHERE id = %s", [*params, run_id])
        for wait in park.waits:
            insert_wait(using, handle, run_id, wait, _find(park.steps, wait))
        return True


def attempts_sql(source: str) -> str:
    """Return the INSERT of any number of attempts of the one run in ``source(id)``, for PostgreSQL."""
    return (
        f'INSERT INTO {ATTEMPT} ({_ATTEMPT_COLUMNS}) SELECT {source}.id, a.name, a."index", a.number, '
        "a.error_type, a.message, a.traceback, a.worker, a.token, "
        f"{later_sql('postgresql', 'a.began_in')}, {later_sql('postgresql', '0')}, "
        f"{later_sql('postgresql', 'a.retry_in')} FROM {source}, unnest({arrays_sql(_ATTEMPT_TYPES)}) "
        'AS a(name, "index", number, error_type, message, traceback, worker, token, began_in, retry_in)'
    )


def attempts_params(attempts: Sequence[AttemptWrite], token: int) -> list[str]:
    """Return the parameters of ``attempts_sql``."""
    return write_columns(_ATTEMPT_TYPES, [attempt_params(attempt, token) for attempt in attempts])


_ATTEMPT_TYPES = ("text", "bigint", "smallint", *["text"] * 4, "bigint", "float8", "float8")
_ATTEMPT_COLUMNS = (
    'run_id, name, "index", number, error_type, message, traceback, worker, token, '
    "started_at, ended_at, retry_at"
)


def attempt_sql(vendor: str) -> str:
    """Return INSERT … SELECT without its FROM, which must yield the run's ``id``."""
    return (
        f"INSERT INTO {ATTEMPT} ({_ATTEMPT_COLUMNS}) SELECT id, %s, %s, %s, %s, %s, %s, %s, %s, "
        f"{later_sql(vendor, '%s')}, {later_sql(vendor, '0')}, {later_sql(vendor, '%s')}"
    )


def attempt_params(attempt: AttemptWrite, token: int) -> list[Any]:
    """Return the parameters of ``attempt_sql``."""
    return [attempt.name, attempt.index, attempt.number, attempt.error_type, attempt.message] + [
        attempt.traceback,
        attempt.worker,
        token,
        -attempt.seconds,
        attempt.retry_in,
    ]


def _find(steps: Sequence[StepWrite], wait: WaitWrite) -> StepWrite:
    return next(step for step in steps if (step.name, step.index) == (wait.name, wait.index))


@repeatable
def read_wakeups(using: str, run_id: UUID, token: int) -> int | None:
    """Return the run's count of ended waits, or None if the token does not own it any more."""
    with cursor(using) as handle:
        handle.execute(
            f"SELECT wakeups FROM {RUN} WHERE id = %s AND token = %s AND status = 'running'",
            [adapt_id(using, run_id), token],
        )
        row = handle.fetchone()
    return row[0] if row else None


@repeatable
def end_wait(
    using: str,
    run_id: UUID,
    token: int,
    name: str,
    index: int,
    output: str | None,
    status: str = "completed",
    error: str | None = None,
) -> bool:
    """Let the waits of a step of an owned run time out; return False if they had ended in another way (law 7).

    Without ``output`` and ``error`` the step's result is the list of what its waits gave until now.
    """
    key = [adapt_id(using, run_id), name, index]
    lock = " FOR NO KEY UPDATE" if is_postgres(using) else ""
    now = later_sql("postgresql" if lock else "sqlite", "0")
    with writing(using) as handle:
        handle.execute(
            f"SELECT 1 FROM {RUN} WHERE id = %s AND token = %s AND status = 'running'{lock}", [key[0], token]
        )
        if handle.fetchone() is None:
            return False
        handle.execute(
            f"UPDATE {WAIT} SET status = 'expired', ended_at = {now} "
            "WHERE run_id = %s AND name = %s AND \"index\" = %s AND status = 'open' RETURNING id",
            key,
        )
        ended = handle.fetchall()
        if not ended:
            return False
        handle.executemany(f"DELETE FROM {WAIT_KEY} WHERE wait_id = %s", ended)
        handle.execute(
            f"UPDATE {STEP} SET status = %s, output = %s, error = %s, token = %s, ended_at = {now} "
            "WHERE run_id = %s AND name = %s AND \"index\" = %s AND status = 'waiting' RETURNING id",
            [status, output if output or error else compose_all(handle, key), error, token, *key],
        )
        return handle.fetchone() is not None
