"""The axis of the timeline: where each drawn part begins, and round lengths of time within it. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from ..duration import format_duration
from .spans import BREAK, UNITS, Scale

ROUND: Final = tuple(
    number * unit
    for unit, numbers in (
        (0.001, (1, 2, 5, 10, 20, 50, 100, 200, 500)),
        (1.0, (1, 2, 5, 10, 20, 30)),
        (60.0, (1, 2, 5, 10, 20, 30)),
        (3_600.0, (1, 2, 4, 6, 12)),
        (86_400.0, (1, 2, 5, 10, 20, 50, 100, 200, 500)),
    )
    for number in numbers
)
PARTS: Final = 5
"""Ticks that the drawn time is divided by, if nothing is cut out of it."""
LETTER: Final = 26.0
"""Units that a letter takes where the drawing is narrow; labels stand right of their ticks."""
SPARE: Final = 40.0
END: Final = 110.0
"""Room for the label at the end."""


@dataclass(frozen=True, slots=True)
class Tick:
    """A time after the begin of the run: its place in units and in percent, and its text."""

    place: float
    label: str

    @property
    def end(self) -> float:
        """Return where the next label may begin."""
        return self.place + len(self.label) * LETTER + SPARE

    @property
    def percent(self) -> str:
        """Return the place as an attribute of SVG."""
        return f"{self.place / UNITS * 100:.2f}%"


@dataclass(frozen=True, slots=True)
class Axis:
    """Ticks, and the bands of time that was cut out; both also as a path of a drawing 20 units high."""

    ticks: Sequence[Tick]
    breaks: Sequence[float]

    @property
    def grid(self) -> str:
        """Return the ticks as lines."""
        return "".join(f"M{tick.place:.1f} 0V20" for tick in self.ticks)

    @property
    def bands(self) -> str:
        """Return the times cut out as rectangles."""
        return "".join(f"M{place:.1f} 0h{BREAK:g}v20h-{BREAK:g}z" for place in self.breaks)


def build_axis(scale: Scale, zero: datetime) -> Axis:
    """Return the axis of a scale, with times counted from ``zero``."""
    ticks: list[Tick] = []
    for place, label in _list_candidates(scale, zero):
        tick = Tick(place, label)
        if tick.end > UNITS - END or (ticks and (place < ticks[-1].end or label == ticks[-1].label)):
            continue
        ticks.append(tick)
    return Axis(ticks, [scale.place(gap.begin) for gap in scale.gaps])


def _list_candidates(scale: Scale, zero: datetime) -> Iterator[tuple[float, str]]:
    step = _choose_step(scale)
    edges = [scale.begin, *(edge for gap in scale.gaps for edge in (gap.begin, gap.end)), scale.end]
    for begin, end in zip(edges[::2], edges[1::2], strict=True):
        first, last = (begin - zero).total_seconds(), (end - zero).total_seconds()
        if first < last:
            yield scale.place(begin), _say(first)
        number = math.floor(first / step) + 1
        while number * step < last:
            yield scale.place(zero + timedelta(seconds=number * step)), _say(number * step)
            number += 1


def _choose_step(scale: Scale) -> float:
    drawn = (scale.end - scale.begin).total_seconds() - sum(gap.seconds for gap in scale.gaps)
    return next((each for each in ROUND if each * PARTS >= drawn), ROUND[-1])


def _say(seconds: float) -> str:
    if abs(seconds) < 1:
        return f"{seconds * 1_000:.0f}ms" if abs(seconds) >= 0.001 else "0"
    if seconds < 60:
        return f"{round(seconds, 1):g}s"
    return " ".join(format_duration(timedelta(seconds=round(seconds))).split()[:2])
