"""``python -m benchmarks [work] [option=value …]``: run a work, print its figures as JSON and as a table."""

from __future__ import annotations

import importlib
import json
import re
import sys
from collections.abc import Sequence
from typing import Any

WORKS = {
    "waits": "one event against a thousand and a million open waits of its name",
    "seed": "fill a database with a month of runs, for the console",
    "console": "time, queries, size and plans of every screen of the admin on that database",
}


def main(arguments: Sequence[str]) -> int:
    """Run the named work; without one, list all."""
    if not arguments or arguments[0] not in WORKS:
        print("\n".join(f"{name:8} {text}" for name, text in WORKS.items()))
        return 0 if not arguments else 2
    options = dict(each.split("=", 1) for each in _join(arguments[1:]))
    work = importlib.import_module(f"benchmarks.{arguments[0]}")
    rows = work.run({key: int(value) for key, value in options.items()})
    for row in rows:
        print(json.dumps({"work": arguments[0], **row}))
    print_table(rows)
    return 0


def _join(arguments: Sequence[str]) -> list[str]:
    """Let ``--runs 1000`` be another way to write ``runs=1000``."""
    return re.sub(r"--([a-z]+)[ =]", r"\1=", " ".join(arguments)).split()


def print_table(rows: Sequence[dict[str, Any]]) -> None:
    """Print the rows, whose keys are equal, below their keys."""
    cells = [list(map(str, rows[0])), *(list(map(str, row.values())) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


sys.exit(main(sys.argv[1:]))
