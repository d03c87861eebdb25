"""W6: one run with trivial steps side by side, beside as many steps in sequence.

Options: ``few``, ``many``, ``rounds``.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from benchmarks.crew import workers
from benchmarks.feed import check_steps, send, wait_for_end
from benchmarks.machine import Meter
from benchmarks.rounds import Sample, find_peers, median, run_peer, take_turns
from benchmarks.scratch import empty, scratch_database

KINDS = ("bench/def", "bench/async", "bench/parallel-def", "bench/parallel-async")


def run(options: dict[str, int]) -> list[dict[str, Any]]:
    """Measure and return one row a way of taking the steps."""
    sizes = (options.get("few", 100), options.get("many", 1_000))
    with scratch_database(DISPATCHER="local") as url:
        told = {"url": url, "threads": 8, "tasks": 128, "durable": {"DISPATCHER": "local"}}
        contenders: dict[str, Any] = {
            f"{kind.removeprefix('bench/')}, {size}": partial(_measure, told, kind, size)
            for size in sizes
            for kind in KINDS
        }
        if python := find_peers().get("dbos"):
            peer = {"runs": 1, "steps": sizes[0], "kind": "parallel"}
            contenders[f"DBOS, gather, {sizes[0]}"] = partial(run_peer, "dbos_worker", python, peer, sizes[0])
        found = take_turns(contenders, options.get("rounds", 3))
    return [{"case": name, "ms": round(median(each, "seconds") * 1_000, 1)} for name, each in found.items()]


def _measure(told: dict[str, Any], event: str, steps: int) -> Sample:
    """Time a run from its event to its end; one before it warms the connections of the worker."""
    empty()
    with workers(told) as crew:
        crew[0].ask("go")
        send(event, 1, steps=steps)
        wait_for_end(0.001)
        empty()
        meter = Meter([crew[0].pid])
        send(event, 1, steps=steps)
        wait_for_end(0.001)
        used = meter.stop()
    check_steps(1, steps)
    return {"seconds": used["seconds"], "others": used["others"]}
