"""Where the branches of a group should run: steps of three kinds, here and on the workers, with one process and two.

Options: ``steps``, ``rounds``.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from benchmarks.crew import workers
from benchmarks.feed import count_runs, send, wait_for_end
from benchmarks.machine import Meter
from benchmarks.rounds import Sample, summarize, take_turns
from benchmarks.scratch import empty, scratch_database
from benchmarks.workflows import KINDS

PLACES = (("here", 1), ("workers", 1), ("workers", 2))


def run(options: dict[str, int]) -> list[dict[str, Any]]:
    """Measure and return one row a kind of step and place."""
    steps = options.get("steps", 48)
    with scratch_database(DISPATCHER="local") as url:
        told = {"url": url, "threads": 8, "tasks": 8, "durable": {"DISPATCHER": "local"}}
        contenders = {
            f"{kind}, {place}, {count} process{'es' if count > 1 else ''}": partial(
                _measure, told, {"kind": kind, "where": place, "steps": steps}, count
            )
            for kind in KINDS
            for place, count in PLACES
        }
        found = take_turns(contenders, options.get("rounds", 3))
    return [{"case": name, "steps": steps, **summarize(each)} for name, each in found.items()]


def _measure(told: dict[str, Any], data: dict[str, Any], processes: int) -> Sample:
    empty()
    with workers(told, processes) as crew:
        for worker in crew:
            worker.ask("go")
        send("bench/branches", 2 * processes, **{**data, "steps": 8})
        wait_for_end(0.001)
        empty()
        meter = Meter([worker.pid for worker in crew])
        send("bench/branches", 1, **data)
        wait_for_end(0.001)
        used = meter.stop()
    total = sum(range(data["steps"]))
    done = f"id IN (SELECT run_id FROM durable_django_runresult WHERE output = '{total}')"
    if count_runs(f"workflow = 'bench-branches' AND status = 'completed' AND {done}") != 1:
        raise SystemExit("the run has not completed with its result: no figure")
    return {"ms": used["seconds"] * 1_000, "others": used["others"]}
