"""W5: many runs that sleep until one instant, alone and beside a million others that sleep on.

Options: ``runs``, ``others``.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection

from benchmarks import feed
from benchmarks.crew import workers
from benchmarks.scratch import empty, scratch_database


def run(options: dict[str, int]) -> list[dict[str, Any]]:
    """Measure and return one row without and one with the others."""
    runs, others = options.get("runs", 10_000), options.get("others", 1_000_000)
    rows = []
    with scratch_database() as url:
        for asleep in (0, others):
            empty()
            if asleep:
                fill_sleepers(asleep)
            with connection.cursor() as cursor:
                cursor.execute("CHECKPOINT")  # what was filled is not written to the disk meanwhile
            rows.append(_measure(url, runs, asleep))
    rows[1]["ratio"] = round(rows[1]["runs_per_s"] / rows[0]["runs_per_s"], 2)
    return rows


def fill_sleepers(count: int) -> None:
    """Store runs that sleep for years, in the shape in which parking stores them."""
    from durable_django.models import Run, Step

    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {Run._meta.db_table} (id, workflow, event_id, key, origin, status, waits_for, queue, "
            "version, wake_at, token, owner, attempt, attempt_steps, crash_count, wakeups, reason, created_at) "
            "SELECT md5('other' || n)::uuid, 'bench-sleep', md5('event' || n)::uuid, '', 'event', 'waiting', "
            "'sleep', 'durable', '', now() + interval '1 year' + n * interval '1 second', 1, '', 0, 0, 0, 0, '', "
            "now() FROM generate_series(1, %s) n",
            [count],
        )
        cursor.execute(
            f'INSERT INTO {Step._meta.db_table} (run_id, name, "index", kind, status, attempt, token, started_at, '
            "ready_at) SELECT md5('other' || n)::uuid, 'nap', 0, 'sleep', 'waiting', 0, 1, now(), "
            "now() + interval '1 year' FROM generate_series(1, %s) n",
            [count],
        )
        cursor.execute("VACUUM (ANALYZE)")


def _measure(url: str, runs: int, asleep: int) -> dict[str, Any]:
    ahead = max(20.0, runs / 150)
    until = datetime.now(UTC) + timedelta(seconds=ahead)
    with workers({"url": url, "tasks": 128, "durable": {"DISPATCHER": "local"}}) as crew:
        crew[0].ask("go")
        feed.send("bench/sleep", runs, until=until.isoformat())
        _wait_until_parked(runs, until)
        feed.wait_for_end_of("bench-sleep", runs)
    late = sorted(float(value) - until.timestamp() for value in _read_wakings())
    if len(late) != runs or late[0] < 0:
        raise SystemExit(f"{len(late)} of {runs} have woken, the first {late[0]:.3f} s late: no figure")
    return {
        "asleep": asleep,
        "runs": runs,
        "first_s": round(late[0], 3),
        "p50_s": round(late[runs // 2], 3),
        "p99_s": round(late[int(runs * 0.99)], 3),
        "runs_per_s": round(runs / late[-1]),
    }


def _wait_until_parked(runs: int, until: datetime) -> None:
    while (
        feed.count_runs("status = 'waiting' AND waits_for = 'sleep' AND wake_at < now() + interval '1 day'")
        < runs
    ):
        if datetime.now(UTC) > until:
            raise SystemExit("the runs did not fall asleep in time: no figure")
        time.sleep(0.2)


def _read_wakings() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT output FROM durable_django_step WHERE name = 'wake' AND status = 'completed'")
        return [output for (output,) in cursor.fetchall()]
