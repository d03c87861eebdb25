"""``python -m benchmarks [work …] [option=value …] [--quick] [--json FILE] [--plot FILE]``.

Runs the works that are named, or all of W1 to W12 for ``all``; prints each figure as a line of JSON and as a table.
An option may also be written ``--option value``. Without a work, all are listed.
"""

from __future__ import annotations

import argparse
import importlib
import json
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.machine import describe
from benchmarks.plot import draw

WORKS = {
    "throughput": "W1: trivial steps per second, beside the floor and the peers",
    "celery_path": "W1, W2: the same through Celery",
    "latency": "W2: from an event to its first step and its end",
    "long_run": "W3: a thousand steps in sequence, resumption, replay",
    "waits": "W4: one event against a thousand and a million open waits of its name",
    "resume": "W4: a batch of events that ends as many waits, until the runs have ended",
    "timers": "W5: ten thousand sleepers wake at one instant, beside a million others",
    "parallel": "W6: steps side by side",
    "branches": "where branches run: here or on the workers, by the kind of their steps",
    "takeover": "W7: a worker is killed in the middle of a step",
    "ingest": "W8: events over HTTP",
    "watchers": "W9: what operators who watch the console cost the workers",
    "memory": "W10: the memory of a worker",
    "sqlite": "W11: W1 and W2 on SQLite",
    "idle": "W12: statements and CPU of an idle worker",
    "flat": "the cost of a step beside few and many other rows",
    "soak": "a steady stream: latency, memory, bytes a row, each minute",
    "seed": "fill a database with a month of runs, for the console",
    "console": "W9: time, queries, size and plans of every screen of the admin on that database",
}
NOT_IN_ALL = ("soak", "seed", "console")
QUICK: dict[str, str] = {
    "throughput": "runs=200 rounds=1",
    "celery_path": "runs=100 rounds=1 count=20",
    "latency": "count=30",
    "long_run": "steps=200 rounds=1",
    "waits": "few=1000 many=10000 rounds=10 batch=50",
    "resume": "runs=200 rounds=1",
    "timers": "runs=500 others=10000",
    "parallel": "few=20 many=100 rounds=1",
    "branches": "steps=16 rounds=1",
    "takeover": "rounds=1",
    "ingest": "seconds=2 waits=1000",
    "watchers": "operators=4 runs=200 rounds=1",
    "memory": "sleepers=1000 runs=500",
    "sqlite": "runs=50 rounds=1 count=20",
    "idle": "seconds=5",
    "flat": "finished=5000 sleeping=5000 waiting=5000 runs=50 rounds=1",
    "soak": "minutes=1 rate=20",
}


def main(arguments: Sequence[str]) -> int:
    """Run the works and return the exit status."""
    signal.signal(
        signal.SIGTERM, lambda *_: sys.exit(143)
    )  # so that databases and processes are cleared away
    parser = argparse.ArgumentParser(prog="python -m benchmarks", usage=__doc__)
    parser.add_argument("words", nargs="*")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path)
    given = parser.parse_args(_join(arguments))
    works = [word for word in given.words if "=" not in word]
    options = [word for word in given.words if "=" in word]
    if works == ["all"]:
        works = [name for name in WORKS if name not in NOT_IN_ALL]
    if not works or set(works) - set(WORKS):
        print("\n".join(f"{name:12} {text}" for name, text in WORKS.items()))
        return 2 if works else 0
    if len(works) > 1:
        return _run_each(works, [*options, *(["--quick"] if given.quick else [])], given)
    rows = _run(works[0], [*(QUICK.get(works[0], "").split() if given.quick else []), *options])
    _write(rows, given)
    return 0


def _join(arguments: Sequence[str]) -> list[str]:
    """Let ``--runs 1000`` be another way to write ``runs=1000``."""
    text = "\0".join(arguments)
    return re.sub(r"--(?!quick|json|plot|help)([a-z]+)[\0=]", r"\1=", text).split("\0") if text else []


def _run(work: str, options: Sequence[str]) -> list[dict[str, Any]]:
    before = describe()
    module = importlib.import_module(f"benchmarks.{work}")
    rows = module.run({key: int(value) for key, value in (each.split("=", 1) for each in options)})
    found = [{"work": work, **row} for row in rows]
    for row in found:
        print(json.dumps({**row, "machine": before}))
    print_table(found)
    return found


def _run_each(works: Sequence[str], options: Sequence[str], given: argparse.Namespace) -> int:
    """Run each work in a process of its own, since Django is configured once a process."""
    status, rows = 0, []
    for work in works:
        child = [sys.executable, "-m", "benchmarks", work, *options]
        done = subprocess.run(child, stdout=subprocess.PIPE, text=True, check=False)
        print(done.stdout, flush=True)
        rows += [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"work"')]
        status = status or done.returncode
    _write(rows, given)
    return status


def _write(rows: list[dict[str, Any]], given: argparse.Namespace) -> None:
    if given.json is not None:
        given.json.write_text("".join(json.dumps(row) + "\n" for row in rows))
    if given.plot is not None:
        given.plot.write_text(draw(rows))


def print_table(rows: Sequence[dict[str, Any]]) -> None:
    """Print the rows below the names of all their columns."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    cells = [names, *([str(row.get(name, "")) for name in names] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
