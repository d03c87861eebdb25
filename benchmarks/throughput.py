"""W1: trivial steps per second of many runs that are queued at once, beside the floor and the peers.

Options: ``runs``, ``steps``, ``rounds``, ``threads``, ``tasks``. W11 is the same on SQLite, see ``sqlite``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from benchmarks import feed
from benchmarks.crew import workers
from benchmarks.floor import commits_per_second
from benchmarks.machine import Meter, read_cpu
from benchmarks.rounds import Sample, find_peers, run_peer, summarize, take_turns
from benchmarks.scratch import empty, list_servers, scratch_database


def run(options: dict[str, int]) -> list[dict[str, Any]]:
    """Measure and return one row a contender."""
    runs, steps = options.get("runs", 1_000), options.get("steps", 10)
    told = {"threads": options.get("threads", 64), "tasks": options.get("tasks", 128)}
    with scratch_database() as url:
        told |= {"url": url, "durable": {"DISPATCHER": "local"}}
        mine = partial(measure, told, runs, steps)
        contenders: dict[str, Callable[[], Sample]] = {
            "floor, 8 threads": lambda: {"rate": commits_per_second(url, 8, runs * steps)},
            "def": partial(mine, "bench/def"),
            "async": partial(mine, "bench/async"),
            "def, 2 processes": partial(mine, "bench/def", processes=2),
            "async, 2 processes": partial(mine, "bench/async", processes=2),
            "def, on one CPU": partial(mine, "bench/def", pinned=True),
            "async, on one CPU": partial(mine, "bench/async", pinned=True),
            "def, 2 processes, a CPU each": partial(mine, "bench/def", processes=2, pinned=True),
            "async, 2 processes, a CPU each": partial(mine, "bench/async", processes=2, pinned=True),
            "def, relaxed": partial(mine, "bench/relaxed"),
            **_list_peers(runs, steps),
        }
        found = take_turns(contenders, options.get("rounds", 5))
    floor = summarize(found["floor, 8 threads"])["rate"]
    return [_describe(name, samples, floor) for name, samples in found.items()]


def _list_peers(runs: int, steps: int) -> dict[str, Callable[[], Sample]]:
    peers = find_peers()
    listed: dict[str, Callable[[], Sample]] = {}
    told = {"runs": max(runs // 5, 20), "steps": steps}
    if python := peers.get("dbos"):
        for kind in ("def", "async"):
            use = {**told, "kind": kind, "threads": 64, "tasks": 64}
            listed[f"DBOS, {kind}"] = partial(run_peer, "dbos_worker", python, use, told["runs"] * steps)
    if python := peers.get("absurd_sdk"):
        use = {**told, "threads": 8}
        listed["Absurd"] = partial(run_peer, "absurd_worker", python, use, told["runs"] * steps)
    return listed


def _describe(name: str, samples: list[Sample], floor: float) -> dict[str, Any]:
    row = summarize(samples)
    return {"case": name, "steps_per_s": round(row["rate"]), "of_floor": round(row["rate"] / floor, 2)} | {
        key: row.get(key, "") for key in ("client_us", "server_us", "others", "disturbed")
    }


def measure(
    told: dict[str, Any], runs: int, steps: int, event: str, *, processes: int = 1, pinned: bool = False
) -> Sample:
    """Queue the runs, let workers execute them, check every result, and return rate and CPU a step."""
    empty()
    feed.send(event, runs, steps=steps)
    with workers(told, processes, pinned=pinned) as crew:
        pids = [worker.pid for worker in crew]
        meter = Meter(pids)
        for worker in crew:
            worker.say("go")
        feed.wait_for_end()
        used = meter.stop()
        server = sum(map(read_cpu, list_servers()))
        for worker in crew:
            worker.hear()
    feed.check_steps(runs, steps)
    return {
        "rate": runs * steps / used["seconds"],
        "seconds": used["seconds"],
        "client_us": used["client"] / runs / steps * 1e6,
        "server_us": server / runs / steps * 1e6,
        "others": max(0.0, used["others"] - server / used["seconds"]),
    }
