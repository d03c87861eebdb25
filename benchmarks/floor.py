"""The floor: one-row commits through psycopg, prepared, from N threads; what the server can do for one process."""

from __future__ import annotations

import threading
import time
from uuid import uuid4

import psycopg

TABLE = "benchmark_floor"


def commits_per_second(url: str, threads: int, commits: int) -> float:
    """Insert ``commits`` rows of about 100 bytes, each in a transaction of its own, and return their rate."""
    with psycopg.connect(url, autocommit=True) as server:
        server.execute(f"DROP TABLE IF EXISTS {TABLE}")
        server.execute(
            f"CREATE TABLE {TABLE} (id bigserial PRIMARY KEY, run uuid, name text, output text, at timestamptz)"
        )
    each = commits // threads
    connections = [psycopg.connect(url, autocommit=True) for _ in range(threads)]
    workers = [threading.Thread(target=_commit, args=(connection, each)) for connection in connections]
    began = time.perf_counter()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    seconds = time.perf_counter() - began
    _check(url, each * threads)
    for connection in connections:
        connection.close()
    return each * threads / seconds


def _commit(connection: psycopg.Connection, count: int) -> None:
    connection.prepare_threshold = 0
    run, output = uuid4(), "x" * 100
    with connection.cursor() as cursor:
        for _ in range(count):
            cursor.execute(
                f"INSERT INTO {TABLE} (run, name, output, at) VALUES (%s, %s, %s, now())", (run, "s", output)
            )


def _check(url: str, expected: int) -> None:
    with psycopg.connect(url) as server:
        row = server.execute(f"SELECT COUNT(*) FROM {TABLE}").fetchone()
    if row != (expected,):
        raise SystemExit("rows are missing: no figure")
