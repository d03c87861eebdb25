"""W4: the cost of an event that ends one of N open waits of its name, N side by side in one database.

Each name has its own waits, stored by SQL in the shape in which parking stores them. The events of both sizes
alternate, so that a busy machine hits both alike. Nobody executes the runs that are woken.
"""

from __future__ import annotations

import json
import statistics
import time
import tracemalloc
from collections.abc import Sequence
from typing import Any

from django.db import connection

from benchmarks.scratch import scratch_database

SIZES = (1_000, 1_000_000)
ROUNDS = 100
KEYS_AT_ONCE = 50_000


def run(options: dict[str, int]) -> list[dict[str, Any]]:
    """Measure and return one row a size; options are ``few``, ``many``, ``rounds`` and ``batch``."""
    sizes = (options.get("few", SIZES[0]), options.get("many", SIZES[1]))
    with scratch_database():
        for size in sizes:
            fill_waits(size)
        with connection.cursor() as cursor:
            cursor.execute("VACUUM (ANALYZE)")
        _check_plan(max(sizes))
        return _measure(sizes, options.get("rounds", ROUNDS), options.get("batch", 100))


def _name(size: int) -> str:
    return f"bench/{size}"


def fill_waits(size: int) -> None:
    """Store runs that wait, each with a question of its own to the events of one name."""
    from durable_django.models import Event, PathSet, Run, Step, Wait

    run, step, wait, event = (model._meta.db_table for model in (Run, Step, Wait, Event))
    ids = "md5(%s || '/run/' || n)::uuid"
    name = _name(size)
    _execute(
        f"INSERT INTO {event} (id, name, data, ts, source, created_at, arrival, routed_at) "
        "VALUES (md5(%s || '/event')::uuid, 'bench/begin', '{}', 1, 'code', now(), 1, now())",
        [name],
    )
    _execute(
        f"INSERT INTO {run} (id, workflow, event_id, key, origin, status, waits_for, queue, version, "
        "wake_at, token, owner, attempt, attempt_steps, crash_count, wakeups, reason, created_at) "
        f"SELECT {ids}, 'bench', md5(%s || '/event')::uuid, '', 'event', 'waiting', 'event', 'bench', '', "
        "now() + interval '1 day', 1, '', 0, 0, 0, 0, '', now() FROM generate_series(1, %s) n",
        [name, name, size],
    )
    _execute(
        f'INSERT INTO {step} (run_id, name, "index", kind, status, attempt, token, started_at, ready_at) '
        f"SELECT {ids}, 'w', 0, 'event', 'waiting', 0, 1, now(), now() + interval '1 day' "
        "FROM generate_series(1, %s) n",
        [name, size],
    )
    _execute(
        f'INSERT INTO {wait} (run_id, name, "index", branch, kind, status, event_name, match, expression, '
        'bound, "after", expires_at, created_at) '
        f"SELECT {ids}, 'w', 0, 0, 'event', 'open', %s, 'data.n', '', "
        "'{\"data\":{\"n\":' || n || '}}', 0, now() + interval '1 day', now() FROM generate_series(1, %s) n",
        [name, name, size],
    )
    from durable_django.engine.matching import write_paths
    from durable_django.ids import hash_text

    text = write_paths([("data", "n")])
    PathSet.objects.create(event_name=name, digest=hash_text(text), paths=text)
    _fill_keys(name, size)


def _fill_keys(name: str, size: int) -> None:
    from durable_django.engine.match import bind_path
    from durable_django.engine.matching import list_keys
    from durable_django.models import Wait, WaitKey

    ids = list(Wait.objects.filter(event_name=name).order_by("id").values_list("id", flat=True))
    for start in range(0, size, KEYS_AT_ONCE):
        part = ids[start : start + KEYS_AT_ONCE]
        numbers = range(start + 1, start + len(part) + 1)
        keys = [list_keys(bind_path(name, "data.n", {"data": {"n": n}}))[0] for n in numbers]
        _execute(
            f"INSERT INTO {WaitKey._meta.db_table} (wait_id, key) "
            "SELECT * FROM unnest(%s::bigint[], %s::bigint[])",
            [part, keys],
        )


def _check_plan(size: int) -> None:
    """Stop unless the candidates are found by the key's index alone."""
    from durable_django.engine.match import event_keys
    from durable_django.ids import new_id
    from durable_django.store.find_asked import build_query, read_path_sets

    name = _name(size)
    keys = event_keys(name, read_path_sets("default", [name])[name], {"data": {"n": 1}})
    sql, params = build_query("default", [(key, new_id()) for key in keys], above=0, limit=1_000)
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {sql}", params)
        plan = "\n".join(line for (line,) in cursor.fetchall())
    if "durable_wait_key" not in plan or "Seq Scan on durable_django_wait" in plan:
        raise SystemExit(f"the plan does not use the index:\n{plan}")


def _measure(sizes: tuple[int, int], rounds: int, batch: int) -> list[dict[str, Any]]:
    times: dict[int, list[float]] = {size: [] for size in sizes}
    for number in range(rounds + 5):  # the first ones warm caches up
        for size in sizes if number % 2 else sizes[::-1]:
            seconds = _route(size, [1 + number * 7])
            if number >= 5:
                times[size].append(seconds * 1_000)
    batches = {
        size: _route(size, [size - n for n in range(min(batch, size // 2))]) for size in sizes if batch
    }
    medians = {size: statistics.median(found) for size, found in times.items()}
    return [
        {
            "waits": size,
            "rounds": rounds,
            "median_ms": round(medians[size], 3),
            "p95_ms": round(sorted(times[size])[int(rounds * 0.95) - 1], 3),
            "ratio": round(medians[size] / medians[sizes[0]], 3),
            "batch": batch,
            "batch_waits_per_s": round(batch / batches[size]) if batch else 0,
            "memory_kb": _measure_memory(size),
        }
        for size in sizes
    ]


def _route(size: int, numbers: Sequence[int]) -> float:
    """Store events that end one wait each, and return how many seconds their routing takes."""
    from durable_django.engine.receive import prepare_events
    from durable_django.engine.route import route_events
    from durable_django.ids import new_id
    from durable_django.store.event import insert_events

    given = [{"name": _name(size), "data": json.loads(f'{{"n": {n}}}')} for n in numbers]
    rows = prepare_events(given, source="code", make_id=lambda _: new_id())
    insert_events("default", rows)
    begin = time.perf_counter()
    woken = route_events("default", rows)
    seconds = time.perf_counter() - begin
    if woken != len(numbers):
        raise SystemExit(f"{woken} waits ended, not {len(numbers)}")
    return seconds


def _measure_memory(size: int) -> int:
    """Return the most memory, in KB, that Python takes while it routes an event."""
    tracemalloc.start()
    _route(size, [size // 2])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return round(peak / 1_024)


def _execute(sql: str, params: list[Any]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
