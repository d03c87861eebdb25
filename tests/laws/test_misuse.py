"""What a workflow may not do, and cannot hide: nested steps, swallowed suspensions, changed tools."""

from __future__ import annotations

from typing import Any

import pytest

from durable_django import step
from durable_django.exceptions import RunFailed
from durable_django.models import Step
from durable_django.testing import advance


def read_error(handle: Any) -> dict[str, Any]:
    with pytest.raises(RunFailed) as caught:
        handle.result(0)
    told: dict[str, Any] = caught.value.details["told"]
    return told


INNER: dict[str, Any] = {
    "run": lambda ctx: ctx.step.run("inner", int),
    "sleep": lambda ctx: ctx.step.sleep("inner", "1h"),
    "decorated": lambda ctx: inner(),
}


@step
def inner() -> None:
    raise AssertionError("a nested step was run")


@pytest.mark.parametrize("swallow", [Exception, BaseException])
@pytest.mark.parametrize("name", list(INNER))
def test_a_nested_step_is_an_error_whatever_catches_it(declare: Any, swallow: Any, name: str) -> None:
    """A step inside a step's function fails that step, also if the function swallows what it is told."""

    @declare()
    def nesting(ctx: Any) -> Any:
        def outer() -> str:
            try:
                INNER[name](ctx)
            except swallow:
                return "swallowed"
            return "done"

        async def outer_async() -> str:
            try:
                await INNER[name](ctx)
            except swallow:
                return "swallowed"
            return "done"

        yield ctx.step.run("outer", outer_async if is_async else outer)

    is_async = nesting.is_async
    told = read_error(nesting.start())
    assert told["code"] == "step_nested"
    assert "'inner'" in told["message"]
    assert list(Step.objects.values_list("name", "status")) == [("outer", "failed")]


@pytest.mark.parametrize("swallow", [Exception, BaseException])
def test_no_workflow_can_swallow_its_suspension(declare: Any, swallow: Any) -> None:
    """A workflow that catches everything around a sleep still sleeps; no later step runs before."""
    calls: list[int] = []

    @declare()
    def stubborn(ctx: Any) -> Any:
        try:
            yield ctx.step.sleep("nap", "1h")
        except swallow:
            calls.append(0)
        for _ in range(3):
            try:
                yield ctx.step.run("after", calls.append, 1)
            except swallow:
                calls.append(0)
        return "done"

    handle = stubborn.start()
    assert handle.status == "waiting"
    assert 1 not in calls
    advance("2h")
    assert handle.result(0) == "done"
    assert calls.count(1) == 3


def test_another_tool_under_a_stored_id_names_both(declare: Any) -> None:
    """An id whose memo was written by another tool fails the run; the error names the step and both tools."""
    tool = ["sleep"]

    @declare()
    def changing(ctx: Any) -> Any:
        if tool[0] == "sleep":
            yield ctx.step.sleep("x", "1m")
        else:
            yield ctx.step.run("x", int)

    handle = changing.start()
    tool[0] = "run"
    advance("2m")
    told = read_error(handle)
    assert told["code"] == "step_kind_changed"
    assert all(word in told["message"] for word in ("'x'", "run", "sleep"))
