"""Give the engine work and see whether it is done, by the public doors and the tables."""

from __future__ import annotations

import time
from typing import Any

from django.db import connection

from benchmarks.workflows import answer

BATCH = 500


def send(name: str, count: int, **data: Any) -> None:
    """Send ``count`` events of a name; each starts a run."""
    from durable_django import send_events

    for start in range(0, count, BATCH):
        part = range(start, min(start + BATCH, count))
        send_events([{"name": name, "data": {**data, "n": n}} for n in part])


def count_runs(condition: str) -> int:
    """Return the number of runs that an SQL condition holds for."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT COUNT(*) FROM durable_django_run WHERE {condition}")
        return int(cursor.fetchone()[0])


def wait_for_end(pause: float = 0.01, limit: float = 600.0) -> None:
    """Return when no run is left that has not ended."""
    until = time.monotonic() + limit
    with connection.cursor() as cursor:
        while time.monotonic() < until:
            cursor.execute("SELECT 1 FROM durable_django_run WHERE wake_at IS NOT NULL LIMIT 1")
            if cursor.fetchone() is None:
                return
            time.sleep(pause)
    raise SystemExit(f"{count_runs('wake_at IS NOT NULL')} runs have not ended in {limit:g} s")


def check_steps(runs: int, steps: int, output: Any = None) -> None:
    """Stop unless every run has completed with every result of its trivial steps."""
    done = count_runs("status = 'completed'")
    if done != runs:
        raise SystemExit(f"{done} of {runs} runs have completed: no figure")
    expected = {f"s{n}": (f'"{answer(n)}"', runs) for n in range(steps)}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT name, output, COUNT(*) FROM durable_django_step WHERE status = 'completed' GROUP BY 1, 2"
        )
        found = {name: (text, count) for name, text, count in cursor.fetchall()}
        cursor.execute("SELECT output, COUNT(*) FROM durable_django_runresult GROUP BY 1")
        results = cursor.fetchall()
    total = sum(len(answer(n)) for n in range(steps))
    if found != expected or results != [(str(total), runs)]:
        raise SystemExit("results are missing or wrong: no figure")


def wait_for_end_of(workflow: str, runs: int, limit: float = 600.0) -> None:
    """Return when so many runs of a workflow have completed; looks at none that has not ended."""
    until = time.monotonic() + limit
    condition = f"workflow = '{workflow}' AND status = 'completed' AND ended_at IS NOT NULL"
    while (done := count_runs(condition)) < runs:
        if time.monotonic() > until:
            raise SystemExit(f"{done} of {runs} runs have completed in {limit:g} s")
        time.sleep(0.05)
