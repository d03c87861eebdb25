"""Sleeps end when the database's clock says so, not before, and hold no worker meanwhile."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from durable_django.models import Run
from durable_django.testing import advance, drain


@pytest.mark.parametrize(
    "value", ["1h30m", "5400s", 5_400_000, 5.4e6, timedelta(hours=1.5), "1.5h", "PT1H30M"]
)
def test_a_sleep_lasts_as_long_as_it_says(declare: Any, value: Any) -> None:
    """Text, milliseconds and timedelta mean the same length; the run wakes after it, not before."""

    @declare()
    def sleeper(ctx: Any) -> Any:
        yield ctx.step.sleep("nap", value)
        return "up"

    handle = sleeper.start()
    run = Run.objects.get()
    assert (run.status, run.waits_for, run.owner) == ("waiting", "sleep", "")
    advance("1h29m59s")
    assert handle.status == "waiting"
    advance("2s")
    assert handle.result(0) == "up"


def test_the_longest_sleep_is_366_days(declare: Any) -> None:
    """366 days can be slept."""

    @declare()
    def sleeper(ctx: Any) -> Any:
        yield ctx.step.sleep("nap", "366 days")
        return "up"

    handle = sleeper.start()
    advance("365 days")
    assert handle.status == "waiting"
    advance("25h")
    assert handle.result(0) == "up"


def test_a_sub_second_sleep_really_sleeps(declare: Any) -> None:
    """A sleep of 80 ms lasts 80 ms and no longer than needed."""
    times: list[float] = []

    @declare()
    def sleeper(ctx: Any) -> Any:
        yield ctx.step.run("before", lambda: times.append(time.monotonic()))
        yield ctx.step.sleep("nap", 80)
        times.append(time.monotonic())

    sleeper.start().result(60)
    assert 0.079 <= times[-1] - times[0] < 10  # and not 80 s


@pytest.mark.parametrize("form", ["datetime", "text", "milliseconds", "other zone"])
def test_sleep_until_an_instant(declare: Any, form: str) -> None:
    """An aware datetime, ISO text with offset, and epoch milliseconds name the same instant."""
    until = (timezone.now() + timedelta(hours=1)).astimezone(UTC)
    value: Any = {
        "datetime": until,
        "text": until.isoformat(),
        "milliseconds": until.timestamp() * 1000,
        "other zone": until.astimezone(datetime.strptime("+0530", "%z").tzinfo),
    }[form]

    @declare()
    def sleeper(ctx: Any) -> Any:
        yield ctx.step.sleep_until("nap", value)
        return "up"

    handle = sleeper.start()
    advance("59m")
    assert handle.status == "waiting"
    advance("61s")
    assert handle.result(0) == "up"


def test_a_look_before_its_time_does_not_end_a_sleep(declare: Any) -> None:
    """A nudge that comes early finds the sleep not due and leaves its end where it was."""

    @declare()
    def sleeper(ctx: Any) -> Any:
        yield ctx.step.sleep("nap", "1h")
        return "up"

    handle = sleeper.start()
    due = Run.objects.get().wake_at
    advance("30m")
    Run.objects.update(status="queued")
    assert drain() == 1
    run = Run.objects.get()
    assert run.status == "waiting"
    assert abs((run.wake_at - due).total_seconds()) < 30
    advance("31m")
    assert handle.result(0) == "up"
