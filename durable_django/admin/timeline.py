"""The steps of a run as rows of an accessible table, each with a bar; pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from ..clock import read_time
from ..engine.scope import read_index
from ..engine.words import WORDS, Word, is_over, name_step, say_length
from ..models import Attempt, Run, Step, StepKind, StepStatus
from .axis import Axis, build_axis
from .spans import Scale, Span, build_scale

HEIGHTS: Final = {"executing": 14, "failed": 14, "backoff": 8, "waiting": 5, "sleeping": 3}
"""The phases differ in height as well as in colour."""
NARROWEST: Final = 5.0
_WAITING: Final = {StepKind.EVENT, StepKind.SIGNAL, StepKind.ANY, StepKind.ALL, StepKind.INVOKE}

Key = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Bar:
    """A rectangle: numbers only, since styles in attributes are refused by a strict policy."""

    x: str
    width: str
    y: str
    height: int
    phase: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A row of the timeline."""

    step: Step
    name: str
    depth: int
    state: Word
    attempts: Sequence[Attempt]
    tries: int
    offset: str
    duration: str
    bars: Sequence[Bar]
    child: Run | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """All rows of a page, and what is cut out of its scale."""

    lines: Sequence[Line]
    length: str
    idle: Sequence[str]
    axis: Axis
    end: str
    """When the scale ends, if it does not end with the run."""


def build_timeline(
    run: Run,
    steps: Sequence[Step],
    attempts: Iterable[Attempt],
    children: Iterable[Run],
    now: datetime,
    *,
    cut: bool = True,
    whole: bool = True,
) -> Timeline:
    """Return the rows of these steps.

    Args:
        cut: Leave idle time out of the bars.
        whole: The scale ends with the run; if these are not all of its steps, with the last of them.
    """
    failures: dict[Key, list[Attempt]] = defaultdict(list)
    for each in attempts:
        failures[each.name, each.index].append(each)
    invoked = {(child.parent_step, child.parent_index): child for child in children}
    spans = {step.pk: list(_find_spans(step, failures[step.name, step.index], now)) for step in steps}
    scale = _fit(run, [span for each in spans.values() for span in each], now, cut=cut, whole=whole)
    begin = read_time(run.created_at)
    lines = [
        _build_line(step, failures[step.name, step.index], spans[step.pk], scale, begin, now, invoked)
        for step in steps
    ]
    length = say_length((scale.end - scale.begin).total_seconds())
    idle = [say_length(gap.seconds) for gap in scale.gaps]
    last = "" if whole else say_length((scale.end - begin).total_seconds())
    return Timeline(lines=lines, length=length, idle=idle, axis=build_axis(scale, begin), end=last)


def _fit(run: Run, spans: Sequence[Span], now: datetime, *, cut: bool, whole: bool) -> Scale:
    end = read_time(run.ended_at) if run.ended_at else now
    if not whole:
        end = max((span.end for span in spans), default=end)
    begin = min((span.begin for span in spans), default=read_time(run.created_at))
    return build_scale(begin, end, spans, cut=cut)


def _find_spans(step: Step, failures: Sequence[Attempt], now: datetime) -> Iterator[Span]:
    begin = read_time(step.started_at)
    end = read_time(step.ended_at) if step.ended_at else now
    if step.kind == StepKind.SLEEP:
        due = read_time(step.ready_at) if step.ready_at else end
        yield Span(begin, max(begin, min(due, now)), "sleeping")
        return
    if step.kind in _WAITING:
        yield Span(begin, end, "waiting")
        return
    for failed in failures:
        started, stopped = read_time(failed.started_at), read_time(failed.ended_at)
        again = read_time(failed.retry_at) if failed.retry_at else stopped
        yield Span(started, stopped, "failed")
        if min(again, end) > stopped:
            yield Span(stopped, min(again, end), "backoff")
        begin = max(stopped, again)
    if not failures or (step.status == StepStatus.COMPLETED and begin < end):
        yield Span(begin, end, "failed" if step.status == StepStatus.FAILED else "executing")


def _build_line(
    step: Step,
    failures: Sequence[Attempt],
    spans: Sequence[Span],
    scale: Scale,
    begin: datetime,
    now: datetime,
    invoked: dict[tuple[Any, ...], Run],
) -> Line:
    first = min([span.begin for span in spans] or [read_time(step.started_at)])
    last = max([span.end for span in spans] or [first])
    succeeded = step.status == StepStatus.COMPLETED
    return Line(
        step=step,
        name=name_step(step.name, step.index),
        depth=len(read_index(step.index)[0]),
        state=_name_state(step, now),
        attempts=failures,
        tries=max(step.attempt, len(failures)) + succeeded,
        offset=say_length((first - begin).total_seconds()),
        duration=say_length((last - first).total_seconds()),
        bars=[_draw(span, scale) for span in spans],
        child=invoked.get((step.name, step.index)),
    )


def _name_state(step: Step, now: datetime) -> Word:
    if step.kind == StepKind.SLEEP and step.status == StepStatus.WAITING:
        return WORDS["completed" if is_over(step, now) else "sleeping"]
    return WORDS[step.status]


def _draw(span: Span, scale: Scale) -> Bar:
    left, right = scale.place(span.begin), scale.place(span.end)
    width = max(right - left, NARROWEST)
    height = HEIGHTS[span.phase]
    left = min(left, 1000.0 - width)
    return Bar(f"{left:.1f}", f"{width:.1f}", f"{(20 - height) / 2:g}", height, span.phase)
