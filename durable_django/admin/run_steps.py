"""The tab of a run's steps: if they are many a strip of all and their names folded; filters, and a page of rows."""

from __future__ import annotations

from typing import Any, Final

from django.utils.translation import gettext_lazy

from ..clock import read_time
from ..engine.alias import get_alias
from ..engine.words import say_length
from ..models import Attempt, RunStatus, Step
from ..store.step_summary import count_steps_of_run
from .permits import may_view
from .render import show_link, show_short, show_state, show_time
from .run_asked import Asked
from .run_rows import ONLY, PAGE, SLOWEST, Rows, count_steps, read_attempts, read_children, read_steps
from .strip import PARTS, build_strip, fold_names
from .timeline import Line, Timeline, build_timeline

NAMES: Final = 20
"""Names that are folded, those of most steps."""
FILTERS: Final = {
    "": gettext_lazy("All"),
    "failed": gettext_lazy("Failed only"),
    "slow": gettext_lazy("Slow"),
    "waiting": gettext_lazy("Waiting"),
}
NOTHING: Final = {
    "failed": gettext_lazy("No failed step."),
    "slow": gettext_lazy("No step has executed anything."),
    "waiting": gettext_lazy("No waiting step."),
    "": gettext_lazy("No step of this name."),
}
"""What is said when a filter leaves no step; the last one of a name alone."""


def show_steps(asked: Asked) -> dict[str, Any]:
    """Return what the template shows of the steps."""
    only = asked.get("only") if asked.get("only") in ONLY else ""
    name = asked.get("name")
    counts = count_steps(getattr(asked.run, "steps_told", None))
    total = sum(counts.values())
    page = read_steps(asked.run, after=asked.after, only=only, name=name)
    cut = asked.get("scale") != "true"
    timeline = _build_timeline(asked, page, cut=cut, whole=len(page.rows) == total)
    return {
        "timeline": timeline,
        "counts": counts,
        "total": total,
        "queued": _say_queued(asked),
        "filters": _list_filters(asked, only, name) if total > 1 else [],
        "filtered": bool(only or name),
        "name": name,
        "nothing": NOTHING[only],
        "slowest": SLOWEST if only == "slow" else 0,
        "cut": cut,
        "all_url": asked.link("steps"),
        "scale_url": asked.link(
            "steps", only=only, name=name, after=asked.after, scale="true" if cut else ""
        ),
        "next_url": asked.link("steps", only=only, name=name, after=page.next) if page.next else "",
        "rows": [_tell_line(asked, line) for line in timeline.lines],
        **(_sum_up(asked, page, filtered=bool(only or name)) if total > PAGE else {}),
    }


def _build_timeline(asked: Asked, page: Rows, *, cut: bool, whole: bool) -> Timeline:
    run, rows = asked.run, page.rows
    attempts = read_attempts(run, rows) if may_view(asked.request, Attempt) else []
    children = read_children(run, rows)
    return build_timeline(run, rows, attempts, children, asked.now, cut=cut, whole=whole)


def _sum_up(asked: Asked, page: Rows, *, filtered: bool) -> dict[str, Any]:
    """Return what tells of all steps, whatever the page shows."""
    found = count_steps_of_run(get_alias(), asked.run.pk, parts=PARTS, names=NAMES)
    shown = () if filtered or not page.rows else (page.rows[0].pk, page.rows[-1].pk)
    strip = build_strip(found, read_time(asked.run.created_at), shown)
    return {
        "strip": strip,
        "ranges": [(each, asked.link("steps", after=each.after)) for each in strip.ranges],
        "folds": [(fold, asked.link("steps", name=fold.name)) for fold in fold_names(found)],
    }


def _say_queued(asked: Asked) -> str:
    if asked.run.status != RunStatus.QUEUED:
        return ""
    return say_length((asked.now - read_time(asked.run.created_at)).total_seconds())


def _list_filters(asked: Asked, only: str, name: str) -> list[tuple[str, Any, bool]]:
    return [
        (asked.link("steps", only=code, name=name), label, code == only) for code, label in FILTERS.items()
    ]


def _tell_line(asked: Asked, line: Line) -> dict[str, Any]:
    child = line.child
    return {
        "line": line,
        "state": show_state(line.state),
        "link": show_link(asked.site, Step, line.step.pk, line.name),
        "child": show_short(asked.site, child.pk, child.workflow) if child else "",
        "attempts": [{"row": each, "ended": show_time(each.ended_at)} for each in line.attempts],
    }
