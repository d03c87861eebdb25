"""W1 and W2 through Celery over Redis: the same runs, announced by messages.

The rate counts from the first claim to the last end by the database's clock. Options: ``runs``, ``steps``, ``rounds``,
``threads``, ``count``.
"""

from __future__ import annotations

import os
import time
from functools import partial
from typing import Any

from django.db import connection

from benchmarks import feed
from benchmarks.celery_crew import celery_worker, wait_for_worker
from benchmarks.latency import describe_latency, send_one
from benchmarks.machine import read_cpu
from benchmarks.rounds import Sample, summarize, take_turns
from benchmarks.scratch import empty, scratch_database
from benchmarks.throughput import measure

QUEUE = f"bench-{os.getpid()}"


def run(options: dict[str, int]) -> list[dict[str, Any]]:
    """Measure and return one row a path, and one for the latency."""
    runs, steps, threads = options.get("runs", 500), options.get("steps", 10), options.get("threads", 16)
    durable = {"DISPATCHER": "celery", "DEFAULT_QUEUE": QUEUE}
    with scratch_database(**durable) as url:
        from benchmarks import celery_app  # noqa: F401  makes the app that nudges are sent through

        told: dict[str, Any] = {"url": url, "durable": durable}
        local = {"url": url, "threads": threads, "durable": {**durable, "DISPATCHER": "local"}}
        contenders = {
            "local": partial(measure, local, runs, steps, "bench/def"),
            "celery": partial(_measure, told, runs, steps, threads),
        }
        found = take_turns(contenders, options.get("rounds", 3))
        rows = [{"case": name, **summarize(samples)} for name, samples in found.items()]
        rows[1]["of_local"] = round(rows[1]["rate"] / rows[0]["rate"], 2)
        empty()
        with celery_worker(told, QUEUE, threads=threads):
            wait_for_worker()
            times = [send_one() for _ in range(options.get("count", 100) + 10)][10:]
        return [*rows, {"case": "celery, event to end", **describe_latency(times)}]


def _measure(told: dict[str, Any], runs: int, steps: int, threads: int) -> Sample:
    _purge()
    empty()
    feed.send("bench/def", runs, steps=steps)
    with celery_worker(told, QUEUE, threads=threads) as pid:
        wait_for_worker()
        feed.wait_for_end()
        cpu = read_cpu(pid)
    feed.check_steps(runs, steps)
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXTRACT(EPOCH FROM MAX(ended_at) - MIN(started_at)) FROM durable_django_run")
        seconds = float(cursor.fetchone()[0])
    rate = runs * steps / seconds
    return {
        "rate": rate,
        "seconds": seconds,
        "client_us": cpu / runs / steps * 1e6,
        "server_us": 0.0,
        "others": 0.0,
    }


def _purge() -> None:
    """Remove what a round before this one has left with the broker."""
    from benchmarks.celery_app import app

    with app.connection_for_write() as line:
        queue = app.amqp.queues.select_add(QUEUE)
        queue(line.default_channel).declare()
        queue(line.default_channel).purge()
    time.sleep(0.05)
