"""Rows of figures read for a range of time, and put into equal parts of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext_lazy as _

from ..clock import read_time
from ..engine.histogram import find_percentile
from ..engine.rollup_rows import read_figures, read_mapping, sum_up
from ..models import Rollup


@dataclass(frozen=True, kw_only=True)
class Span:
    """A range that can be chosen: ``part`` is what a column of a chart stands for."""

    code: str
    label: Any
    length: timedelta
    part: timedelta
    source: int
    """Minutes that a row stands for."""


SPANS: Final = (
    Span(
        code="24h",
        label=_("24 hours"),
        length=timedelta(hours=24),
        part=timedelta(minutes=30),
        source=1,
    ),
    Span(code="7d", label=_("7 days"), length=timedelta(days=7), part=timedelta(hours=4), source=60),
)
PERCENTS: Final = (50, 95, 99)


@dataclass(frozen=True, kw_only=True)
class Part:
    """What happened from ``at`` on, for as long as a part lasts; the gauges are None if nobody looked."""

    at: datetime
    told: dict[str, Any]
    rows: int

    def get(self, name: str) -> int | None:
        """Return a counter, 0 without any row."""
        return int(self.told[name])

    def gauge(self, name: str) -> int | None:
        """Return a gauge."""
        return int(self.told[name]) if self.rows else None

    def percentile(self, name: str, percent: float) -> float | None:
        """Return a percentile of a histogram in seconds."""
        return find_percentile(self.told[name], percent)


def find_span(code: str) -> Span:
    """Return the range of that code, or the first one."""
    return next((each for each in SPANS if each.code == code), SPANS[0])


def read_rows(using: str, span: Span, now: datetime, workflow: str = "") -> list[Rollup]:
    """Return the rows of a range, oldest first, in one query."""
    rows = Rollup.objects.using(using).filter(workflow=workflow, span=span.source)
    return list(rows.filter(at__gte=_find_begin(span, now), at__lte=now).order_by("at"))


def divide(rows: Iterable[Rollup], span: Span, now: datetime) -> list[Part]:
    """Return the parts of the range, oldest first; the last one is not over."""
    begin, count = _find_begin(span, now), round(span.length / span.part)
    found: list[list[dict[str, Any]]] = [[] for _ in range(count)]
    for row in rows:
        place = int((read_time(row.at) - begin) / span.part)
        if 0 <= place < count:
            found[place].append(read_figures(row))
    return [
        Part(at=begin + place * span.part, told=sum_up(each), rows=len(each))
        for place, each in enumerate(found)
    ]


def _find_begin(span: Span, now: datetime) -> datetime:
    """Return the begin of the first part, so that parts begin at round times of the day."""
    here = timezone.localtime(now)
    midnight = here.replace(hour=0, minute=0, second=0, microsecond=0)
    passed = (here - midnight) // span.part + 1
    return midnight + passed * span.part - span.length


def list_errors(rows: Iterable[Rollup], most: int = 8) -> list[dict[str, Any]]:
    """Return the most frequent errors: first line, count, and when they were last seen."""
    counts: dict[str, int] = {}
    seen: dict[str, datetime] = {}
    for row in rows:
        for line, count in read_mapping(row.errors).items():
            counts[line] = counts.get(line, 0) + count
            seen[line] = read_time(row.at)
    best = sorted(counts, key=lambda line: (-counts[line], line))[:most]
    return [{"line": line, "count": counts[line], "seen": seen[line]} for line in best]


def label_parts(parts: Sequence[Part], span: Span) -> tuple[list[str], list[str]]:
    """Return a text for each part, and the few that stand below a drawing."""
    days = span.length > timedelta(days=1)
    moments = [timezone.localtime(each.at) for each in parts]
    labels = [date_format(each, "j M H:i" if days else "H:i") for each in moments]
    step = max(len(labels) // (7 if days else 6), 1)
    below = [date_format(each, "j M" if days else "H:i") for each in moments[::step]]
    return labels, below
