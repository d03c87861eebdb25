"""Calls that cannot work fail the run at once with a coded error, whatever the workflow catches."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import Any

import pytest

from durable_django import EventWait
from durable_django.exceptions import RunFailed
from durable_django.models import Attempt, Wait


def read_error(handle: Any) -> dict[str, Any]:
    with pytest.raises(RunFailed) as caught:
        handle.result(0)
    told: dict[str, Any] = caught.value.details["told"]
    return told


DURATIONS = [
    "",
    "soon",
    "1 fortnight",
    "1h1h",
    math.nan,
    math.inf,
    -math.inf,
    "367 days",
    10**15,
    None,
    True,
    [],
]
WRONG: dict[str, tuple[str, Any]] = {
    "sleep naive": ("datetime_naive", lambda step: step.sleep_until("x", datetime(2030, 1, 1))),
    "sleep naive text": ("datetime_naive", lambda step: step.sleep_until("x", "2030-01-01T00:00:00")),
    "sleep text": ("instant_invalid", lambda step: step.sleep_until("x", "tomorrow")),
    "sleep year 9999": ("duration_invalid", lambda step: step.sleep_until("x", "9999-12-31T00:00:00Z")),
    "sleep 10^18": ("instant_invalid", lambda step: step.sleep_until("x", 10**18)),
    "wait both": (
        "step_usage",
        lambda step: step.wait_for_event("x", event="a/b", match="data.k", if_exp="true", timeout="1h"),
    ),
    "wait duration": (
        "duration_invalid",
        lambda step: step.wait_for_event("x", event="a/b", timeout="later"),
    ),
    "wait name": ("event_invalid", lambda step: step.wait_for_event("x", event="", timeout="1h")),
    "wait reserved": (
        "event_invalid",
        lambda step: step.wait_for_event("x", event="durable/x", timeout="1h"),
    ),
    "wait missing": (
        "match_unbound",
        lambda step: step.wait_for_event("x", event="a/b", match="data.nothing", timeout="1h"),
    ),
    "wait null": (
        "match_unbound",
        lambda step: step.wait_for_event("x", event="a/b", match="data.null", timeout="1h"),
    ),
    "wait syntax": (
        "expression_invalid",
        lambda step: step.wait_for_event("x", event="a/b", if_exp="async.data.k ==", timeout="1h"),
    ),
    "wait not boolean": (
        "expression_invalid",
        lambda step: step.wait_for_event("x", event="a/b", if_exp="1 + 1", timeout="1h"),
    ),
    "send name": ("event_invalid", lambda step: step.send_event("x", {"name": ""})),
    "send reserved": ("event_invalid", lambda step: step.send_event("x", {"name": "durable/run.failed"})),
    "send value": (
        "output_unserializable",
        lambda step: step.send_event("x", {"name": "a/b", "data": {"k": {1}}}),
    ),
    "wait star": ("step_usage", lambda step: step.wait_for_event("x", event="a/*", timeout="1h")),
    "any star": ("step_usage", lambda step: step.wait_for_any("x", [EventWait(event="*")], timeout="1h")),
    "run called": ("step_usage", lambda step: step.run("x", int("5"))),
    "wrap called": ("step_usage", lambda step: step.ai.wrap("x", {"a": 1})),
    "invoke function": ("step_usage", lambda step: step.invoke("x", function=len)),
    "invoke nothing": ("step_usage", lambda step: step.invoke("x", function=None)),
    "id empty": ("step_usage", lambda step: step.run("", int)),
    "id long": ("step_usage", lambda step: step.run("x" * 256, int)),
    "id nul": ("step_usage", lambda step: step.run("a\x00b", int)),
    "id half": ("step_usage", lambda step: step.run("a\ud800b", int)),
    "id type": ("step_usage", lambda step: step.run(7, int)),
}


@pytest.mark.parametrize("value", DURATIONS, ids=ascii)
def test_an_unusable_duration_fails_the_run_at_once(declare: Any, value: Any) -> None:
    """A duration that cannot be read, or exceeds 366 days, is a coded error that names the step."""

    @declare()
    def sleeper(ctx: Any) -> Any:
        try:
            yield ctx.step.sleep("the nap", value)
        except Exception:
            return "swallowed"

    told = read_error(sleeper.start())
    assert told["code"] == "duration_invalid"
    assert "the nap" in told["message"]


@pytest.mark.parametrize("name", list(WRONG))
def test_an_unusable_call_fails_the_run_at_once(declare: Any, name: str) -> None:
    """Arguments that cannot work fail the run at once, with a code; nothing is retried or left open."""
    code, call = WRONG[name]

    @declare()
    def wrong(ctx: Any) -> Any:
        try:
            yield call(ctx.step)
        except Exception:
            return "swallowed"

    assert read_error(wrong.start({"null": None}))["code"] == code
    assert Wait.objects.filter(status="open").count() == 0
    assert Attempt.objects.count() == 0


@pytest.mark.parametrize("value", [0, -1, "0s", "-1h", timedelta(0), timedelta(days=-400)], ids=str)
def test_a_sleep_of_no_length_goes_on_at_once(declare: Any, value: Any) -> None:
    """A duration of zero or less does not suspend the run."""

    @declare()
    def sleeper(ctx: Any) -> Any:
        yield ctx.step.sleep("nap", value)
        yield ctx.step.sleep_until("past", "1999-01-01T00:00:00Z")
        return "on"

    assert sleeper.start().result(0) == "on"
