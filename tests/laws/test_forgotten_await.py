"""A step that an ``async def`` workflow calls without ``await`` is an error, never a step silently left out."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from durable_django import workflow
from durable_django.exceptions import RunFailed
from durable_django.models import Event, Step
from durable_django.testing import drain
from tests.plugins.store import Store


def read_error(handle: Any) -> dict[str, Any]:
    drain()
    with pytest.raises(RunFailed) as caught:
        handle.result(0)
    told: dict[str, Any] = caught.value.details["told"]
    return told


async def one() -> int:
    return 1


FORGOTTEN: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "send": ("tell", lambda ctx: ctx.step.send_event("tell", {"name": "app/told"})),
    "run": ("work", lambda ctx: ctx.step.run("work", int)),
    "sleep": ("nap", lambda ctx: ctx.step.sleep("nap", "1h")),
    "group": ("parallel", lambda ctx: ctx.group.parallel([one])),
}


@pytest.mark.parametrize("name", list(FORGOTTEN))
def test_a_call_that_is_not_awaited_fails_the_run(store: Store, name: str) -> None:
    """The run does not end as if the step were done: it fails at once, with the step's name."""
    step, call = FORGOTTEN[name]

    @workflow(id="forgetful")
    async def forgetful(ctx: Any) -> str:
        await ctx.step.run("first", int)
        call(ctx)
        return "done"

    told = read_error(forgetful.start())
    assert told["code"] == "step_usage"
    assert repr(step) in told["message"]
    assert "await" in told["message"]
    assert list(Step.objects.values_list("name", flat=True)) == ["first"]
    assert not Event.objects.filter(name="app/told").exists()


def test_a_call_that_is_returned_unawaited_says_so(store: Store) -> None:
    """The error names the missing ``await``, not the coroutine that cannot be stored."""

    @workflow(id="forgetful")
    async def forgetful(ctx: Any) -> Awaitable[int]:
        return ctx.step.run("work", int)  # type: ignore[no-any-return]

    assert read_error(forgetful.start())["code"] == "step_usage"


def test_a_step_left_to_a_task_is_not_a_forgotten_one(store: Store) -> None:
    """A task that has not begun when the workflow returns is cancelled; the result stands."""
    keep: list[Any] = []

    @workflow(id="leaver")
    async def leaver(ctx: Any) -> str:
        keep.append(asyncio.create_task(ctx.step.run("late", int)))
        return "done"

    handle = leaver.start()
    drain()
    assert handle.result(0) == "done"
    assert not Step.objects.exists()
