"""The charts of the overview and of a workflow's page. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils.formats import number_format
from django.utils.translation import gettext as _

from ..engine.words import say_length
from .charts import Chart, Series, draw_bars, draw_lines, find_top_time
from .figures import PERCENTS, Part, Span, label_parts


def build_charts(parts: Sequence[Part], span: Span, *, gauges: bool = True) -> list[Chart]:
    """Return what ended and started, the backlog, and how long starts and runs took."""
    labels, below = label_parts(parts, span)
    ends = [
        Series(name=_("completed"), code="completed", values=[each.get("completed") for each in parts]),
        Series(name=_("failed"), code="failed", values=[each.get("failed") for each in parts]),
        Series(name=_("cancelled"), code="cancelled", values=[each.get("cancelled") for each in parts]),
    ]
    starts = [Series(name=_("started"), code="running", values=[each.get("started") for each in parts])]
    charts = [
        draw_bars(_("Runs ended"), "ended", ends, labels, below, say_number),
        draw_bars(_("Runs started"), "started", starts, labels, below, say_number),
    ]
    if gauges:
        backlog = [
            Series(name=name, code=code, values=[each.gauge(code) for each in parts])
            for name, code in ((_("queued"), "queued"), (_("running"), "running"), (_("waiting"), "waiting"))
        ]
        charts.append(draw_lines(_("Unfinished runs"), "backlog", backlog, labels, below, say_number))
    for title, name in ((_("Start delay"), "delays"), (_("Duration of runs"), "durations")):
        lines = [
            Series(
                name=f"p{percent}",
                code=f"p{percent}",
                values=[each.percentile(name, percent) for each in parts],
            )
            for percent in PERCENTS
        ]
        charts.append(draw_lines(title, name, lines, labels, below, say_seconds, find_top_time))
    return charts


def say_number(value: float) -> str:
    """Return a number as people write it here."""
    whole = value == int(value)
    return str(number_format(int(value) if whole else value, 0 if whole else 1, force_grouping=True))


def say_seconds(value: float) -> str:
    """Return a length of time."""
    if value == 0:
        return "0"
    return f"{value * 1000:.0f}ms" if value < 1 else say_length(value)
