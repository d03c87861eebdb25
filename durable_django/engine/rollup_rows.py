"""Counts into rows of figures, and rows into sums. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final

from ..models import Rollup
from ..store.rollup import Count
from .histogram import merge

Figures = dict[tuple[str, datetime], dict[str, Any]]
"""Workflow ("" is the sum of all) and time to columns, the histograms as mappings."""

COUNTERS: Final = ("started", "completed", "failed", "cancelled")
GAUGES: Final = ("queued", "running", "waiting")
MAPPINGS: Final = ("delays", "durations", "errors")
ERRORS: Final = 20
"""Different errors that a row names."""
LINE: Final = 160


def collect(counts: Iterable[Count], errors: Sequence[tuple[str, datetime, str]]) -> Figures:
    """Return the figures of each workflow and minute that occurs, and their sums."""
    figures: Figures = {}
    for count in counts:
        histogram = "delays" if count.what == "started" else "durations"
        for workflow in (count.workflow, ""):
            told = figures.setdefault((workflow, count.at), {})
            told[count.what] = told.get(count.what, 0) + count.number
            _add(told, histogram, str(count.bucket), count.number)
    for workflow, at, stored in errors:
        line = name_error(stored)
        for name in (workflow, ""):
            _add(figures.setdefault((name, at), {}), "errors", line, 1)
    return figures


def _add(told: dict[str, Any], mapping: str, key: str, number: int) -> None:
    counted = told.setdefault(mapping, {})
    counted[key] = counted.get(key, 0) + number


def name_error(stored: str) -> str:
    """Return class and first line of a stored error, by which equal ones are found together."""
    try:
        told = json.loads(stored)
        line = (str(told.get("message") or "").splitlines() or [""])[0].strip()
        name = str(told.get("name") or "Error")
    except (ValueError, AttributeError):  # a hand-edited row
        return "Error"
    return (f"{name}: {line}" if line else name)[:LINE]


def build_row(workflow: str, span: int, at: datetime, told: dict[str, Any]) -> Rollup:
    """Return the row for figures."""
    columns = {name: told.get(name, 0) for name in (*COUNTERS, *GAUGES)}
    errors = sorted(told.get("errors", {}).items(), key=lambda each: -each[1])[:ERRORS]
    texts = {
        "delays": json.dumps(told.get("delays", {})),
        "durations": json.dumps(told.get("durations", {})),
        "errors": json.dumps(dict(errors), ensure_ascii=False),
    }
    return Rollup(workflow=workflow, span=span, at=at, **columns, **texts)


def read_figures(row: Rollup) -> dict[str, Any]:
    """Return a row's figures."""
    told: dict[str, Any] = {name: getattr(row, name) for name in (*COUNTERS, *GAUGES)}
    return told | {name: read_mapping(getattr(row, name)) for name in MAPPINGS}


def read_mapping(text: str) -> dict[str, int]:
    """Return a stored histogram, or errors with their counts; most rows have none."""
    return {} if text == "{}" else dict(json.loads(text))


def sum_up(figures: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Return the sum of figures in order of time; of gauges the last."""
    found = list(figures)
    told: dict[str, Any] = {name: sum(each[name] for each in found) for name in COUNTERS}
    told |= {name: merge(each[name] for each in found) for name in MAPPINGS}
    return told | {name: found[-1][name] if found else 0 for name in GAUGES}
