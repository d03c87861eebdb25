"""Flatness: what a step costs beside few rows and beside many: finished runs, sleeping runs, open waits.

Each size is measured with its own floor in turn: ``ratio`` compares the rates as parts of the floor,
``cpu_ratio`` the CPU of client and server a step, which a busy machine disturbs less.
Options: ``finished``, ``sleeping``, ``waiting``, ``runs``, ``rounds``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db import connection

from benchmarks import feed
from benchmarks.crew import workers
from benchmarks.floor import commits_per_second
from benchmarks.machine import Meter
from benchmarks.rounds import Sample, median
from benchmarks.scratch import empty, scratch_database
from benchmarks.timers import fill_sleepers

STEPS = 10


def run(options: dict[str, int]) -> list[dict[str, Any]]:
    """Measure and return one row a kind of crowd."""
    from benchmarks.waits import fill_waits

    sizes = {name: options.get(name, 300_000) for name in ("finished", "sleeping", "waiting")}
    crowds: dict[str, Callable[[int], None]] = {
        "finished": fill_finished,
        "sleeping": fill_sleepers,
        "waiting": fill_waits,
    }
    runs, rounds = options.get("runs", 300), options.get("rounds", 5)
    with scratch_database() as url:
        rows = [_describe("none", 0, [_measure(url, runs) for _ in range(rounds)])]
        for name, fill in crowds.items():
            empty()
            fill(sizes[name])
            rows.append(_describe(name, sizes[name], [_measure(url, runs) for _ in range(rounds)]))
    for row in rows:
        row["ratio"] = round(rows[0]["of_floor"] / row["of_floor"], 2)
        row["cpu_ratio"] = round(_read_cpu(row) / _read_cpu(rows[0]), 2)
    return rows


def _read_cpu(row: dict[str, Any]) -> float:
    return float(row["client_us"] + row["server_us"])


def _describe(name: str, size: int, samples: list[Sample]) -> dict[str, Any]:
    return {
        "crowd": name,
        "rows": size,
        "steps_per_s": round(median(samples, "rate")),
        "of_floor": round(median(samples, "of_floor"), 3),
        "client_us": round(median(samples, "client_us")),
        "server_us": round(median(samples, "server_us")),
    }


def fill_finished(count: int) -> None:
    """Store completed runs with a step each, as their ends leave them."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO durable_django_run (id, workflow, event_id, key, origin, status, waits_for, queue, version, "
            "token, owner, attempt, attempt_steps, crash_count, wakeups, reason, created_at, started_at, ended_at) "
            "SELECT md5('done' || n)::uuid, 'bench-def', md5('event' || n)::uuid, '', 'event', 'completed', '', "
            "'durable', '', 1, '', 0, 0, 0, 0, '', now(), now(), now() FROM generate_series(1, %s) n",
            [count],
        )
        cursor.execute(
            'INSERT INTO durable_django_step (run_id, name, "index", kind, status, output, attempt, token, '
            "started_at, ended_at) SELECT md5('done' || n)::uuid, 's', 0, 'run', 'completed', '1', 0, 1, now(), "
            "now() FROM generate_series(1, %s) n",
            [count],
        )
        cursor.execute("VACUUM (ANALYZE)")


def _measure(url: str, runs: int) -> Sample:
    floor = commits_per_second(url, 8, 2_000)
    before = feed.count_runs("workflow = 'bench-async' AND status = 'completed'")
    feed.send("bench/async", runs, steps=STEPS)
    from benchmarks.machine import read_cpu
    from benchmarks.scratch import list_servers

    with workers({"url": url, "tasks": 128, "durable": {"DISPATCHER": "local"}}) as crew:
        meter = Meter([crew[0].pid])
        crew[0].say("go")
        feed.wait_for_end_of("bench-async", before + runs)
        used = meter.stop()
        server = sum(map(read_cpu, list_servers()))
        crew[0].hear()
    rate = runs * STEPS / used["seconds"]
    return {
        "rate": rate,
        "of_floor": rate / floor,
        "client_us": used["client"] / runs / STEPS * 1e6,
        "server_us": server / runs / STEPS * 1e6,
    }
