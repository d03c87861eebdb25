"""Instants on a scale of 1000 units, with the times cut out in which nothing executed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

UNITS: Final = 1000.0
BREAK: Final = 24.0
IDLE_SHARE: Final = 0.05
IDLE_SECONDS: Final = 10.0
BUSY: Final = ("executing", "failed")
"""Phases that are never cut out."""


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time in which a step was in one phase."""

    begin: datetime
    end: datetime
    phase: str


@dataclass(frozen=True, slots=True)
class Gap:
    """Idle time that is drawn as a break."""

    begin: datetime
    end: datetime

    @property
    def seconds(self) -> float:
        """Return how long it lasted."""
        return (self.end - self.begin).total_seconds()


@dataclass(frozen=True)
class Scale:
    """Places instants between ``begin`` and ``end`` on 0 to 1000."""

    begin: datetime
    end: datetime
    gaps: Sequence[Gap]

    def place(self, moment: datetime) -> float:
        """Return the place of the instant, held within the scale."""
        moment = min(max(moment, self.begin), self.end)
        drawn = self._drawn_seconds(self.end)
        passed = sum(self._share(gap, moment) for gap in self.gaps)
        room = UNITS - BREAK * len(self.gaps)
        return BREAK * passed + (self._drawn_seconds(moment) / drawn * room if drawn else 0.0)

    def _drawn_seconds(self, until: datetime) -> float:
        cut = sum((min(gap.end, until) - gap.begin).total_seconds() for gap in self.gaps if gap.begin < until)
        return (until - self.begin).total_seconds() - cut

    @staticmethod
    def _share(gap: Gap, moment: datetime) -> float:
        if moment <= gap.begin:
            return 0.0
        return min((moment - gap.begin).total_seconds() / gap.seconds, 1.0)


def build_scale(begin: datetime, end: datetime, spans: Iterable[Span], *, cut: bool = True) -> Scale:
    """Return the scale for the spans; ``cut`` leaves idle time out."""
    end = max(begin, end)
    gaps = _find_gaps(begin, end, spans) if cut else []
    if sum(gap.seconds for gap in gaps) >= (end - begin).total_seconds():
        gaps = []  # nothing executed at all, so nothing else is there to be drawn
    return Scale(begin, end, gaps)


def _find_gaps(begin: datetime, end: datetime, spans: Iterable[Span]) -> list[Gap]:
    shortest = max((end - begin).total_seconds() * IDLE_SHARE, IDLE_SECONDS)
    busy = sorted((span.begin, span.end) for span in spans if span.phase in BUSY)
    gaps, last = [], begin
    for start, stop in [*busy, (end, end)]:
        gap = Gap(last, max(min(start, end), last))
        if gap.seconds > shortest:
            gaps.append(gap)
        last = max(last, stop)
    return gaps[: int(UNITS / BREAK / 2)]
