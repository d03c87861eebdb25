"""W9: every screen of the admin on the database that ``seed`` fills: time, queries, size and plans.

The screens are those that the admin has: each list with each of its filters, the page of a row of each
model, and what the models' pages add. A figure over its budget is marked; a plan that reads a large table from one
end to the other is printed. Options: ``rounds`` (20), ``only`` a number of the table, ``plans=1`` prints all plans.
"""

from __future__ import annotations

import os
import re
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection

from benchmarks.console_setup import configure_console, database_url

FLOOR = 2
"""Queries of a page for a superuser: session and user. Time limits that are set are not counted as queries."""
LARGE = "event|run|runresult|step|attempt|wait|waitkey|runsubject"
TIME = re.compile(r"(?:Planning|Execution) Time: ([0-9.]+) ms")
SCAN = re.compile(
    rf"Seq Scan on durable_django_(?:{LARGE})\b.*?rows=(\d+) loops=(\d+)\)"
    r"(?:\n *Filter: .*)?(?:\n *Rows Removed by Filter: (\d+))?"
)
MANY = 50_000
"""Rows; fewer are read by a scan that ends as soon as it has found enough, which is no harm."""


def run(options: dict[str, int]) -> list[dict[str, Any]]:
    """Measure and return one row a screen."""
    configure_console(database_url())
    from benchmarks.console_screens import list_screens

    client = _log_in()
    rows = []
    for screen in list_screens():
        row = _measure(client, screen, options.get("rounds", 20), all_plans=bool(options.get("plans")))
        print(" ".join(f"{key}={value}" for key, value in row.items()), flush=True)
        rows.append(row)
    print(f"load of the machine in the last minutes: {os.getloadavg()}, of {os.cpu_count()} processors")
    return rows


def _log_in() -> Any:
    from django.contrib.auth.models import User
    from django.test import Client

    user = User.objects.filter(username="bench").first() or User.objects.create_superuser("bench")
    client = Client(raise_request_exception=False)
    client.force_login(user)
    return client


@contextmanager
def _noting(statements: list[tuple[str, Any]]) -> Iterator[None]:
    def note(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        statements.append((sql, params))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(note):
        yield


def _measure(client: Any, screen: Any, rounds: int, *, all_plans: bool) -> dict[str, Any]:
    statements: list[tuple[str, Any]] = []
    answer = client.get(screen.url)
    with _noting(statements):
        answer = client.get(screen.url)
    times, used = [], []
    for _ in range(rounds):
        begin, cpu = time.perf_counter(), time.process_time()
        client.get(screen.url)
        times.append((time.perf_counter() - begin) * 1_000)
        used.append((time.process_time() - cpu) * 1_000)
    content = b"".join(answer.streaming_content) if answer.streaming else answer.content
    figures = {
        "queries": sum(not sql.startswith("SET ") for sql, _ in statements) - FLOOR,
        "p95_ms": round(sorted(times)[max(int(rounds * 0.95) - 1, 0)]),
        "html_kb": round(len(content) / 1_024),
    }
    missed = [name for name, figure in figures.items() if figure > getattr(screen, name)]
    if answer.status_code not in (200, 204):
        missed.append(f"status {answer.status_code}")
    scans, sql = _explain(statements, screen, all_plans=all_plans)
    return {
        "screen": screen.name,
        "p50_ms": round(statistics.median(times)),
        **figures,
        "cpu_ms": round(statistics.median(used)),
        "sql_ms": round(sql),
        "scans": scans,
        "missed": ", ".join(missed) or "-",
    }


def _count_read(scan: re.Match[str]) -> int:
    rows, loops, removed = (int(each or 0) for each in scan.groups())
    return (rows + removed) * loops


def _explain(statements: list[tuple[str, Any]], screen: Any, *, all_plans: bool) -> tuple[int, float]:
    """Print the plans that read a large table whole; return how many there are, and the milliseconds of all."""
    found, spent = 0, 0.0
    for sql, params in statements:
        if not sql.lstrip("(").startswith(("SELECT", "WITH")) or "durable_django_" not in sql:
            continue
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN (ANALYZE, COSTS OFF) {sql}", params)
            plan = "\n".join(line for (line,) in cursor.fetchall())
        bad = any(_count_read(found) > MANY for found in SCAN.finditer(plan))
        found += bad
        spent += sum(map(float, TIME.findall(plan)))
        if bad or all_plans:
            print(f"--- {screen.name}\n{sql[:600]}\n{plan}\n", flush=True)
    return found, spent
