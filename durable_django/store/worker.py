"""The rows by which processes report themselves, and the claim of a tick.

Note [A worker is drained by its row]
    An operator who drains a worker adds a word to the kind in its row. The report of a worker keeps that word
    and reads it, so the worker knows after one report at most, without a further statement. From then on it
    claims nothing; what it has it finishes. A process that begins under a name that was used before, such as
    the first process of a container, reports a kind of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from ..clock import later_sql, now_sql
from ..models.worker import STOPPING
from .base import WORKER, is_postgres, writing
from .retrying import repeatable

TICK = "tick"
_TOLD: Final = ("queues", "package", "code", "slots", "busy", "last_error")


@repeatable
def claim_tick(using: str, *, period: float) -> bool:
    """Take the tick, and tell so, unless somebody has taken it within the last ``period`` seconds."""
    vendor = "postgresql" if is_postgres(using) else "sqlite"
    now, before = now_sql(vendor), later_sql(vendor, "%s")
    with writing(using) as handle:
        handle.execute(
            f"UPDATE {WORKER} SET seen_at = {now} WHERE name = %s AND seen_at <= {before} RETURNING name",
            [TICK, -period],
        )
        if handle.fetchone() is not None:
            return True
        handle.execute(
            f"INSERT INTO {WORKER} (name, kind, queues, started_at, seen_at) "
            f"SELECT %s, %s, '', {now}, {now} WHERE NOT EXISTS (SELECT 1 FROM {WORKER} WHERE name = %s) "
            "ON CONFLICT (name) DO NOTHING RETURNING name",
            [TICK, TICK, TICK],
        )
        return handle.fetchone() is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a process says of itself; ``last_error_age`` is the seconds since its last error, None without one."""

    name: str
    kind: str
    queues: str
    package: str = ""
    code: str = ""
    slots: int | None = None
    busy: int | None = None
    last_error: str = ""
    last_error_age: float | None = None


@repeatable
def save_worker(using: str, report: Report, *, begins: bool = False) -> bool:
    """Note that a process was seen now, and whether it ``begins``; return whether it is asked to stop."""
    vendor = "postgresql" if is_postgres(using) else "sqlite"
    now = now_sql(vendor)
    asked = f"w.kind LIKE '%%{STOPPING}'"
    kept = f"CASE WHEN {asked} THEN excluded.kind || '{STOPPING}' ELSE excluded.kind END"
    change = "excluded.kind, started_at = excluded.started_at" if begins else kept
    told = ", ".join(f"{column} = excluded.{column}" for column in (*_TOLD, "last_error_at", "seen_at"))
    failed = "NULL" if report.last_error_age is None else later_sql(vendor, "%s")
    with writing(using) as handle:
        handle.execute(
            f"INSERT INTO {WORKER} AS w (name, kind, {', '.join(_TOLD)}, last_error_at, started_at, seen_at) "
            f"VALUES (%s, %s, {', '.join('%s' for _ in _TOLD)}, {failed}, {now}, {now}) "
            f"ON CONFLICT (name) DO UPDATE SET kind = {change}, {told} RETURNING kind",
            [
                report.name,
                report.kind,
                *(getattr(report, column) for column in _TOLD),
                *([] if report.last_error_age is None else [-report.last_error_age]),
            ],
        )
        return str(handle.fetchone()[0]).endswith(STOPPING)


@repeatable
def delete_workers(using: str, *, name: str = "", silent: float | None = None) -> int:
    """Forget the process of that name, and those that were silent for ``silent`` seconds; return how many."""
    vendor = "postgresql" if is_postgres(using) else "sqlite"
    condition = "name = %s"
    params: list[Any] = [name]
    if silent is not None:
        condition += f" OR (name <> %s AND seen_at <= {later_sql(vendor, '%s')})"
        params += [TICK, -silent]
    with writing(using) as handle:
        handle.execute(f"DELETE FROM {WORKER} WHERE {condition}", params)
        return int(handle.rowcount)
