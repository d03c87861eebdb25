"""Series of numbers as inline SVG, each with the same numbers as a table. Pure.

Note [The table is the chart]
    The drawing is decoration: it is hidden from screen readers, and the table beside it has every number.
    Geometry is in attributes, since a strict policy ignores styles; classes give colours and patterns.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

WIDTH: Final = 1000.0
HEIGHT: Final = 200.0
TOP: Final = 4.0
"""Room for the stroke of the highest line."""
LABELS: Final = 5

Say = Callable[[float], str]


@dataclass(frozen=True, kw_only=True)
class Series:
    """A row of numbers under a name; None is a gap. ``code`` is the class that colours it."""

    name: Any
    code: str
    values: Sequence[float | None]


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A drawing and its table."""

    title: Any
    code: str
    series: Sequence[Series]
    labels: Sequence[str]
    """One text for each value, for the table."""
    ticks: Sequence[tuple[float, str]]
    """Heights in percent and what they stand for."""
    below: Sequence[str]
    """What stands below the drawing, evenly spread."""
    bars: Sequence[dict[str, Any]] = ()
    lines: Sequence[dict[str, Any]] = ()
    rows: Sequence[tuple[str, Sequence[str]]] = field(default=())

    @property
    def empty(self) -> bool:
        """Tell whether there is nothing to be drawn."""
        return not any(value for each in self.series for value in each.values)


TIMES: Final = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1_200, 1_800, 3_600, 7_200, 14_400, 43_200, 86_400)


def find_top_time(highest: float) -> float:
    """Return a round length of time, not below the highest value, in seconds."""
    if highest <= 1 or highest > TIMES[-1]:
        days = TIMES[-1] if highest > 1 else 1
        return find_top(highest / days) * days
    return float(next(each for each in TIMES if each >= highest))


def find_top(highest: float) -> float:
    """Return a round number, not below the highest value, that a scale can end with."""
    if highest <= 0:
        return 1.0
    unit = 10.0 ** math.floor(math.log10(highest))
    return next((unit * each for each in (1, 2, 4, 5, 8, 10) if unit * each >= highest), unit * 10)


def draw_bars(
    title: Any, code: str, series: Sequence[Series], labels: Sequence[str], below: Sequence[str], say: Say
) -> Chart:
    """Return columns in which the series stand on one another."""
    count = max(len(labels), 1)
    totals = [sum(each.values[place] or 0 for each in series) for place in range(len(labels))]
    top = find_top(max(totals, default=0))
    step, feet = WIDTH / count, [HEIGHT] * len(labels)
    bars = [{"code": each.code, "d": _stack(each.values, feet, step, top)} for each in series]
    return _finish(title, code, series, labels, below, say, top, bars=bars)


def _stack(values: Sequence[float | None], feet: list[float], step: float, top: float) -> str:
    """Return the path of the columns of a series, each on its foot, and raise the feet."""
    parts = []
    for place, value in enumerate(values):
        height = (value or 0) / top * (HEIGHT - TOP)
        if height:
            feet[place] -= height
            x, width = place * step + step * 0.1, step * 0.8
            parts.append(f"M{x:.1f} {feet[place]:.1f}h{width:.1f}v{height:.1f}h-{width:.1f}z")
    return "".join(parts)


def draw_lines(
    title: Any,
    code: str,
    series: Sequence[Series],
    labels: Sequence[str],
    below: Sequence[str],
    say: Say,
    find: Callable[[float], float] = find_top,
) -> Chart:
    """Return a line for each series; where there is no number the line is broken."""
    top = find(max((value or 0 for each in series for value in each.values), default=0))
    lines = [{"code": each.code, "d": trace(each.values, top)} for each in series]
    return _finish(title, code, series, labels, below, say, top, lines=lines)


def trace(values: Sequence[float | None], top: float, *, width: float = WIDTH, height: float = HEIGHT) -> str:
    """Return the path of a line through the middles of equal columns."""
    step, drawn, parts = width / max(len(values), 1), False, []
    for place, value in enumerate(values):
        if value is None:
            drawn = False
            continue
        y = height - value / top * (height - TOP)
        parts.append(f"{'L' if drawn else 'M'}{(place + 0.5) * step:.1f} {y:.1f}")
        if not drawn:
            parts.append("h0.1")  # a lone point is seen, too
        drawn = True
    return " ".join(parts)


def _finish(
    title: Any,
    code: str,
    series: Sequence[Series],
    labels: Sequence[str],
    below: Sequence[str],
    say: Say,
    top: float,
    **drawn: Any,
) -> Chart:
    rows = [
        (label, ["–" if (value := each.values[place]) is None else say(value) for each in series])
        for place, label in enumerate(labels)
    ]
    ticks = [(100.0, say(top)), (50.0, say(top / 2)), (0.0, say(0))]
    return Chart(
        title=title, code=code, series=series, labels=labels, ticks=ticks, below=below, rows=rows, **drawn
    )
