"""Bars of the timeline and folded tracebacks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from durable_django.admin.axis import build_axis
from durable_django.admin.spans import UNITS, Span, build_scale
from durable_django.admin.timeline import build_timeline
from durable_django.admin.trace import fold_trace
from durable_django.models import Attempt, Run, Step

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def make_step(begin: float, end: float | None, **fields: Any) -> Step:
    fields = {"name": "s", "kind": "run", "status": "completed" if end is not None else "waiting", **fields}
    return Step(pk=1, started_at=at(begin), ended_at=None if end is None else at(end), **fields)


spans = st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 1e6)).map(sorted), max_size=20)


@given(spans, st.lists(st.floats(-10, 1.1e6), min_size=2, max_size=10), st.booleans())
def test_the_scale_keeps_order_and_bounds(found: Any, moments: list[float], cut: bool) -> None:
    """Whatever is cut out, later is never left of earlier, and everything lies on the scale."""
    scale = build_scale(at(0), at(1e6), [Span(at(a), at(b), "executing") for a, b in found], cut=cut)
    placed = [scale.place(at(moment)) for moment in sorted(moments)]
    assert all(-1e-6 <= place <= UNITS + 1e-6 for place in placed)
    assert all(left <= right + 1e-6 for left, right in zip(placed, placed[1:], strict=False))
    assert scale.place(scale.begin) == 0
    assert abs(scale.place(scale.end) - UNITS) < 1e-6


def test_idle_time_is_cut_out_and_told() -> None:
    """Two days of sleep take a fixed little of the width, unless the true scale is wanted."""
    run = Run(created_at=at(0), ended_at=at(200_010))
    steps = [
        make_step(0, 5),
        make_step(5, None, kind="sleep", ready_at=at(200_005)),
        make_step(200_005, 200_010),
    ]
    for number, step in enumerate(steps):
        step.pk = number
    cut = build_timeline(run, steps, [], [], at(200_010))
    assert cut.idle == ["2d 7h"]
    assert [float(line.bars[0].width) for line in cut.lines] == [488.0, 24.0, 488.0]
    assert [line.state.code for line in cut.lines] == ["completed", "completed", "completed"]
    whole = build_timeline(run, steps, [], [], at(200_010), cut=False)
    assert float(whole.lines[1].bars[0].width) > 990
    assert whole.lines[1].duration == "2d 7h"


def test_a_retried_step_shows_its_attempts() -> None:
    """Failure, pause, failure, pause, success: five bars, three attempts."""
    failures = [
        Attempt(
            name="s",
            index=0,
            number=number,
            started_at=at(begin),
            ended_at=at(begin + 1),
            retry_at=at(begin + 3),
        )
        for number, begin in enumerate((0, 3))
    ]
    line = build_timeline(
        Run(created_at=at(0), ended_at=at(8)), [make_step(0, 8, attempt=2)], failures, [], at(8)
    ).lines[0]
    phases = [bar.phase for bar in line.bars]
    assert phases == ["failed", "backoff", "failed", "backoff", "executing"]
    assert (line.tries, line.duration) == (3, "8.0s")


def test_a_failed_step_ends_with_its_last_failure() -> None:
    """No success is drawn, and none is counted."""
    failure = Attempt(name="s", index=0, number=0, started_at=at(0), ended_at=at(1))
    step = make_step(0, 1, status="failed", attempt=1)
    line = build_timeline(Run(created_at=at(0), ended_at=at(1)), [step], [failure], [], at(1)).lines[0]
    assert line.tries == 1
    assert [bar.phase for bar in line.bars] == ["failed"]


def test_the_axis_has_times_where_they_are_drawn() -> None:
    """Ticks stand where a drawn part begins and at round times; what is cut out is a band of its own."""
    run = Run(created_at=at(0), ended_at=at(200_010))
    steps = [make_step(0, 5), make_step(200_005, 200_010)]
    steps[1].pk = 2
    axis = build_timeline(run, steps, [], [], at(200_010)).axis
    ticks = [(round(tick.place, 1), tick.label) for tick in axis.ticks]
    assert ticks == [(0.0, "0"), (195.2, "2s"), (390.4, "4s"), (512.0, "2d 7h")]
    assert axis.breaks == [488.0]
    assert axis.bands == "M488.0 0h24v20h-24z"
    whole = build_timeline(run, steps, [], [], at(200_010), cut=False).axis
    assert [tick.label for tick in whole.ticks] == ["0", "12h", "1d", "1d 12h"]
    assert whole.bands == ""


@given(spans, st.floats(0.001, 1e8))
def test_the_axis_of_any_run_is_readable(found: Any, length: float) -> None:
    """Whatever its length, the labels of an axis do not meet, and each is there once."""
    axis = build_axis(
        build_scale(at(0), at(length), [Span(at(a), at(b), "executing") for a, b in found]), at(0)
    )
    assert len(axis.ticks) <= 7
    assert all(left.end <= right.place for left, right in zip(axis.ticks, axis.ticks[1:], strict=False))
    assert len({tick.label for tick in axis.ticks}) == len(axis.ticks)


def test_library_frames_are_folded() -> None:
    """The frames of the project stay, with the error's last line; the whole stays at hand."""
    text = (
        "Traceback (most recent call last):\n"
        '  File "/srv/shop/orders.py", line 3, in charge\n    pay()\n'
        '  File "/venv/lib/python3.12/site-packages/stripe/api.py", line 9, in pay\n    raise Declined\n'
        "stripe.Declined: no money\n"
    )
    trace = fold_trace(text)
    assert trace.folded == 1
    assert "orders.py" in trace.own
    assert "stripe/api.py" not in trace.own
    assert trace.own.endswith("stripe.Declined: no money")
    assert trace.whole == text
    only_foreign = fold_trace(text.replace("/srv/shop", "/venv/site-packages/shop"))
    assert (only_foreign.folded, only_foreign.own) == (0, only_foreign.whole)
