"""§2: parallel groups."""

from __future__ import annotations

import functools
from typing import Any

from durable_django import StepError
from tests.bodies import make
from tests.conformance.case import Span, case
from tests.conformance.traces import echo, fail, trace


def branches(ctx: Any, bodies: list[Any]) -> list[Any]:
    """Return branches of the workflow's kind, each from a body with any steps in sequence."""
    kind = "async" if ctx.workflow.is_async else "def"
    return [functools.partial(make(kind, body), ctx) for body in bodies]


def sequence(name: str, nap: str = "") -> Any:
    def body(ctx: Any) -> Any:
        first = yield ctx.step.run("same id", echo, name)
        if nap:
            yield ctx.step.sleep("nap", ctx.event.data[nap])
        return first + (yield ctx.step.run("same id", echo, "!"))

    return body


@case(
    "2",
    "parallel",
    "tuple in order. Inside a branch any steps in sequence",
    data={"nap": Span("1h")},
    passes="2h",
    result=["a!", "b!", "c!"],
    holds=lambda stage: stage.traces() == [["before"]],
    sample=True,
)
def parallel(ctx: Any) -> Any:
    yield trace(ctx, "before")
    found = yield ctx.group.parallel(
        branches(ctx, [sequence("a", "nap"), sequence("b"), sequence("c", "nap")])
    )
    assert isinstance(found, tuple)
    return list(found)


@case(
    "2", "race", "race: resumes as each is done", data={"nap": Span("1h")}, passes="2h", result=["a!", "b!"]
)
def race(ctx: Any) -> Any:
    return list((yield ctx.group.parallel(branches(ctx, [sequence("a", "nap"), sequence("b")]), mode="race")))


@case(
    "2",
    "parallel-failure",
    "branch failure surfaces when the group is awaited; the others finish",
    data={"nap": Span("1h")},
    passes="2h",
    result=["ValueError", "late"],
    holds=lambda stage: stage.until(lambda: stage.traces("late")),
)
def parallel_failure(ctx: Any) -> Any:
    def late(ctx: Any) -> Any:
        yield ctx.step.sleep("nap", ctx.event.data["nap"])
        return (yield trace(ctx, "late"))

    def bad(ctx: Any) -> Any:
        yield ctx.step.run("bad", fail, retries=0)

    try:
        yield ctx.group.parallel(branches(ctx, [bad, late]))
    except StepError as error:
        return [error.name, "late"]


@case("2", "parallel-1000", "1,000 branches work", result=sum(range(1_000)))
def thousand(ctx: Any) -> Any:
    found = yield ctx.group.parallel(
        [lambda number=number: ctx.step.run("n", echo, number) for number in range(1_000)]
    )
    return sum(found)


@case("3", "step-limit", "limits: 1,000 steps a run", fails="step_limit_reached")
def step_limit(ctx: Any) -> Any:
    yield ctx.group.parallel([lambda: ctx.step.run("n", int) for _ in range(1_000)])
    yield ctx.step.run("one more", int)
