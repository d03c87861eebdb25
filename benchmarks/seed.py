"""Fill a database with runs as a busy shop leaves them in a month, by SQL: what the console's work looks at.

``python -m benchmarks seed runs=1000000 steps=10`` makes the database and leaves it there;
``python -m benchmarks console`` measures the screens on it; ``python -m benchmarks seed drop=1`` drops it.
Every figure follows from the number of a row, so two fillings of one size are alike.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import psycopg
from django.core.management import call_command
from django.db import connection, models

from benchmarks.console_setup import NAME, WORKFLOWS, configure_console, database_url
from benchmarks.scratch import server_url

PART = 100_000
"""Runs in a transaction."""
RARE = "ship-order"


def run(options: dict[str, int]) -> list[dict[str, Any]]:
    """Make and fill the database; options are ``runs``, ``steps`` and ``drop``."""
    _drop()
    if options.get("drop"):
        return [{"database": NAME, "rows": 0, "seconds": 0.0}]
    with psycopg.connect(server_url(), autocommit=True) as server:
        server.execute(f'CREATE DATABASE "{NAME}"')
    configure_console(database_url())
    call_command("migrate", verbosity=0)
    runs, steps = options.get("runs", 100_000), options.get("steps", 10)
    rows: list[dict[str, Any]] = []
    _time(rows, "plan", lambda: _plan(runs))
    for name, fill in _list_fillings(runs, steps).items():
        _time(rows, name, fill)
    _time(rows, "vacuum", lambda: _execute("VACUUM (ANALYZE)"))
    return rows


def _drop() -> None:
    with psycopg.connect(server_url(), autocommit=True) as server:
        server.execute(f'DROP DATABASE IF EXISTS "{NAME}" WITH (FORCE)')


def _time(rows: list[dict[str, Any]], name: str, fill: Any) -> None:
    begin = time.perf_counter()
    count = fill() or 0
    rows.append({"table": name, "rows": count, "seconds": round(time.perf_counter() - begin, 1)})
    print(rows[-1], flush=True)


def _execute(sql: str, params: list[Any] | None = None) -> int:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return int(cursor.rowcount)


def _plan(runs: int) -> int:
    """Store in a table of the session what the rows of each run follow from."""
    names = ", ".join(f"'{name}'" for name in WORKFLOWS)
    digits = "md5('{letter}' || n)"
    make_id = "(lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7' || "
    make_id += f"substr({digits}, 1, 3) || '8' || substr({digits}, 4, 15))::uuid"
    at = f"date_trunc('minute', now()) - interval '30 days' * (({runs} - n)::float8 / {runs})"
    _execute(
        f"CREATE TEMP TABLE plan AS SELECT n, at, "
        f"{make_id.format(letter='r')} AS id, "
        f"{make_id.format(letter='e')} AS event_id, "
        f"(ARRAY[{names}])[1 + floor({len(WORKFLOWS)} * power(((n::bigint * 7919) % 1000) / 1000.0, 2))::int] "
        "AS workflow, CASE WHEN part < 500 THEN 'waiting' WHEN part < 560 THEN 'asleep' "
        "WHEN part < 570 THEN 'retrying' WHEN part < 590 THEN 'queued' WHEN part < 592 THEN 'running' "
        "WHEN part < 980 THEN 'failed' WHEN part < 1180 THEN 'cancelled' ELSE 'completed' END AS state, "
        "0.05 + ((n::bigint * 31) % 977) * 0.06 AS lasted "
        f"FROM (SELECT n, (n::bigint * 104729) % 10000 AS part, {at} AS at "
        f"FROM generate_series(1, {runs}) n) numbered ORDER BY n"
    )
    _execute("CREATE INDEX ON plan (n)")
    return _execute("ANALYZE plan") and runs


def _list_fillings(runs: int, steps: int) -> dict[str, Any]:
    from benchmarks.seed_rows import list_tables

    def fill(tables: Any) -> Any:
        return lambda: sum(
            insert(model, columns, f"({source.format(low=low, high=low + PART)}) p")
            for model, columns, source in tables
            for low in range(0, runs, PART)
        )

    fillings = {name: fill(tables) for name, tables in list_tables(runs, steps).items()}
    return {**fillings, "few": lambda: _fill_few(runs)}


def insert(model: type[models.Model], columns: Mapping[str, str], source: str) -> int:
    """Insert a row for each of ``source``; columns that are not named get their defaults."""
    given: dict[str, str] = dict(columns)
    params: list[Any] = []
    for field in model._meta.concrete_fields:
        column = field.column
        if column in given or field.null or field.has_db_default() or isinstance(field, models.AutoField):
            continue
        given[column] = "%s"
        params.append(field.get_db_prep_save(field.get_default(), connection))
    names = ", ".join(f'"{name}"' for name in given)
    values = ", ".join(each if each == "%s" else each.replace("%", "%%") for each in given.values())
    source = source.replace("%", "%%")
    return _execute(f"INSERT INTO {model._meta.db_table} ({names}) SELECT {values} FROM {source}", params)


def _fill_few(runs: int) -> int:
    from benchmarks.seed_rows import list_few

    count = sum(insert(model, columns, source) for model, columns, source in list_few(runs))
    _execute("SELECT setval('durable_django_event_arrival', %s)", [2 * runs + 1])
    return count
