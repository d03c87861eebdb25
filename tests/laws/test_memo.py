"""A step runs once; what the workflow sees is what replay will show it (laws 4 and 5)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from durable_django import step
from durable_django.models import Step
from durable_django.testing import advance, drain

VALUES = [
    None,
    True,
    -0.0,
    1e16,
    2**200,
    "\x00 nul, \ud800 half, 😀",
    (1, (2, 3)),
    {"a": {"b": []}},
    datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
    timedelta(microseconds=1),
    Decimal("1.10"),
    UUID(int=7),
]
IDS = ["a.b/c:d", "%s %(x)s {0}", "'; DROP TABLE x; --", "漢字 😀", "\n\t", "x" * 255, "😀" * 255, '"\\']


def show(value: Any) -> str:
    return f"{type(value).__name__} {value!r}"


def test_the_first_value_is_the_replayed_value(declare: Any) -> None:
    """A workflow sees the same value and type when the step has just run and when it is replayed."""
    seen: list[list[str]] = []

    @declare()
    def values(ctx: Any) -> Any:
        shown = []
        for value in VALUES:
            shown.append(show((yield ctx.step.run("value", lambda value=value: value))))
        seen.append(shown)
        yield ctx.step.sleep("nap", "1h")

    values.start()
    advance("2h")
    assert len(seen) == 2
    assert seen[0] == seen[1]
    assert seen[0][6] == show([1, [2, 3]])


def test_ids_used_again_in_a_loop_have_memos_of_their_own(declare: Any) -> None:
    """The same id in a loop, and in nested loops, is told apart by how often it was used."""
    calls: list[int] = []

    @declare()
    def loop(ctx: Any) -> Any:
        total = 0
        for number in range(4):
            total += yield ctx.step.run("add", lambda number=number: calls.append(number) or number)
            yield ctx.step.sleep("nap", "1m")
        return total

    handle = loop.start()
    for _ in range(4):
        advance("2m")
    assert handle.result(0) == 6
    assert calls == [0, 1, 2, 3]
    assert sorted(Step.objects.filter(name="add").values_list("index", flat=True)) == [0, 1, 2, 3]


@pytest.mark.parametrize("name", IDS)
def test_ids_may_have_any_punctuation(declare: Any, name: str) -> None:
    """An id of 1 to 255 characters of any script is stored and found again."""
    calls: list[str] = []

    @declare()
    def odd(ctx: Any) -> Any:
        first = yield ctx.step.run(name, lambda: calls.append("first") or 1)
        yield ctx.step.sleep(f"nap after {len(name)}", "1m")
        return first + (yield ctx.step.run(name, lambda: calls.append("second") or 2))

    handle = odd.start()
    advance("2m")
    assert handle.result(0) == 3
    assert calls == ["first", "second"]


def test_one_counter_per_id_over_all_tools(declare: Any) -> None:
    """An id counts its uses over all tools, so a sleep and a step may share it."""

    @declare()
    def shared(ctx: Any) -> Any:
        yield ctx.step.sleep("x", "1m")
        value = yield ctx.step.run("x", lambda: 5)
        yield ctx.step.sleep("x", "1m")
        return value

    handle = shared.start()
    advance("2m")
    advance("2m")
    assert handle.result(0) == 5
    assert list(Step.objects.order_by("index").values_list("index", "kind")) == [
        (0, "sleep"),
        (1, "run"),
        (2, "sleep"),
    ]


def test_a_step_function_is_a_step_inside_and_plain_outside(store: Any, kind: str, declare: Any) -> None:
    """@step makes a memoized step of a call inside a workflow and leaves the function as it is elsewhere."""
    calls: list[int] = []

    @step(id="double it")
    def double(value: int) -> int:
        calls.append(value)
        return value * 2

    @declare()
    def decorated(ctx: Any) -> Any:
        first = yield double(3)
        yield ctx.step.sleep("nap", "1m")
        return first

    assert double(1) == 2
    handle = decorated.start()
    advance("2m")
    assert handle.result(0) == 6
    assert calls == [1, 3]
    assert Step.objects.filter(name="double it").count() == 1


def test_plain_and_async_functions_are_steps_of_both_kinds(declare: Any) -> None:
    """``step.run`` takes plain and async callables with arguments in either kind of workflow."""

    async def later(value: int, *, by: int) -> int:
        return value + by

    @declare()
    def mixed(ctx: Any) -> Any:
        first = yield ctx.step.run("async", later, 1, by=2)
        return (yield ctx.step.run("plain", max, first, 2))

    assert mixed.start().result(0) == 3


def test_a_second_look_at_a_finished_run_does_nothing(declare: Any) -> None:
    """A run that has ended is not executed again, however often somebody looks."""
    calls: list[int] = []

    @declare()
    def once(ctx: Any) -> Any:
        return (yield ctx.step.run("one", lambda: calls.append(1)))

    once.start()
    assert drain() == 0
    assert calls == [1]
