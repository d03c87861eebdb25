"""W3: one run of many steps in sequence, beside as many commits of one thread; then its resumption and replay.

Options: ``steps``, ``rounds``.
"""

from __future__ import annotations

import itertools
import statistics
import time
from functools import partial
from typing import Any

from django.db import connection
from django.test.utils import CaptureQueriesContext

from benchmarks import feed
from benchmarks.floor import commits_per_second
from benchmarks.rounds import Sample, find_peers, median, run_peer, take_turns
from benchmarks.scratch import empty, scratch_database


def run(options: dict[str, int]) -> list[dict[str, Any]]:
    """Measure and return one row a contender."""
    steps, rounds = options.get("steps", 1_000), options.get("rounds", 5)
    with scratch_database() as url:
        contenders: dict[str, Any] = {
            "floor, 1 thread": lambda: {"seconds": steps / commits_per_second(url, 1, steps)},
            "def": partial(_measure, "bench/def", steps),
            "async": partial(_measure, "bench/async", steps),
        }
        peers = find_peers()
        for name, module in {"dbos": "dbos_worker", "absurd_sdk": "absurd_worker"}.items():
            if name in peers:
                told = {"runs": 1, "steps": steps, "kind": "def", "threads": 1}
                contenders[name] = partial(run_peer, module, peers[name], told, steps)
        found = take_turns(contenders, rounds)
    floor = median(found["floor, 1 thread"], "seconds")
    return [_describe(name, samples, floor) for name, samples in found.items()]


def _describe(name: str, samples: list[Sample], floor: float) -> dict[str, Any]:
    seconds = median(samples, "seconds")
    row: dict[str, Any] = {"case": name, "seconds": round(seconds, 3), "of_floor": round(seconds / floor, 2)}
    for key in ("last_to_first", "replay_ms", "resume_queries"):
        if key in samples[0]:
            row[key] = round(median(samples, key), 2)
    return row


def _measure(event: str, steps: int) -> Sample:
    empty()
    feed.send(event, 1, steps=steps)
    seconds = _execute()
    feed.check_steps(1, steps)
    parts = _compare_parts(steps)
    return {"seconds": seconds, "last_to_first": parts} | _resume(steps)


def _execute() -> float:
    from durable_django.engine.execute import execute_run
    from durable_django.store.claim import claim_runs

    began = time.perf_counter()
    for claimed in claim_runs("default", owner="bench", lease=60, queue="durable", limit=1):
        execute_run("default", claimed)
    return time.perf_counter() - began


def _compare_parts(steps: int) -> float:
    """Return the time of the last tenth of the steps as a multiple of that of the first."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXTRACT(EPOCH FROM ended_at) FROM durable_django_step ORDER BY id")
        ends = [float(end) for (end,) in cursor.fetchall()]
    gaps = [after - before for before, after in itertools.pairwise(ends)]
    part = steps // 10
    return statistics.median(gaps[-part:]) / statistics.median(gaps[:part])


def _resume(steps: int) -> Sample:
    """Let the run crash before its last step, resume it, and return the statements and the time of the replay."""
    from durable_django.models import Run, RunResult, Step

    Step.objects.filter(name=f"s{steps - 1}").delete()
    RunResult.objects.all().delete()
    Run.objects.update(status="queued", wake_at="2000-01-01T00:00:00Z", ended_at=None)
    with CaptureQueriesContext(connection) as captured:
        _execute()
    feed.check_steps(1, steps)
    times = []
    for _ in range(3):
        Run.objects.update(status="queued", wake_at="2000-01-01T00:00:00Z", ended_at=None)
        times.append(_execute())
    return {"replay_ms": statistics.median(times) * 1_000, "resume_queries": float(len(captured) - 2)}
