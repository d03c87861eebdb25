"""Contenders take turns, A B A B …, so that whatever disturbs the machine hits them alike; medians count."""

from __future__ import annotations

import os
import statistics
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.crew import Worker
from benchmarks.machine import DISTURBED, Meter
from benchmarks.scratch import make_database

PEERS = "DURABLE_BENCHMARK_PEERS"
"""Environment variable: the Python in which the peers are installed; without it, this one is tried."""

Sample = dict[str, float]


def take_turns(contenders: Mapping[str, Callable[[], Sample]], rounds: int) -> dict[str, list[Sample]]:
    """Let each contender be measured ``rounds`` times, in turn."""
    found: dict[str, list[Sample]] = {name: [] for name in contenders}
    for number in range(rounds):
        order = list(contenders)
        for name in order if number % 2 == 0 else order[::-1]:
            found[name].append(contenders[name]())
            print(f"  round {number + 1} {name}: {found[name][-1]}", file=sys.stderr, flush=True)
    return found


def median(samples: list[Sample], key: str) -> float:
    """Return the median of one figure."""
    return statistics.median(sample[key] for sample in samples)


def summarize(samples: list[Sample], *, digits: int = 1) -> dict[str, Any]:
    """Return the median of every figure, and a mark if others used the machine meanwhile."""
    row: dict[str, Any] = {key: round(median(samples, key), digits) for key in samples[0]}
    if "others" in row:
        row["disturbed"] = "yes" if row["others"] > DISTURBED else ""
    return row


def find_peers() -> dict[str, str]:
    """Return the peers that are installed, with the Python that has them."""
    python = os.environ.get(PEERS, sys.executable)
    libraries = Path(python).parent.parent / "lib"
    return {
        name: python for name in ("dbos", "absurd_sdk") if list(libraries.glob(f"*/site-packages/{name}"))
    }


def run_peer(module: str, python: str, told: dict[str, Any], steps: int) -> Sample:
    """Let a peer do a work in an empty database of its own, and return its figures."""
    with make_database("_peer") as url:
        worker = Worker({"url": url, **told}, f"benchmarks.peers.{module}", python)
        try:
            meter = Meter([worker.pid])
            found = worker.ask("go")
            used = meter.stop()
        finally:
            worker.kill()
    return {
        "rate": steps / found["seconds"],
        "seconds": found["seconds"],
        "client_us": found["cpu"] / steps * 1e6,
        "server_us": 0.0,
        "others": used["others"],
    }
