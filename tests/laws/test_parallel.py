"""Parallel groups: branches side by side, joined in order, resumed without repeating what is done (F68, F69)."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest

from durable_django import StepError, send_event, workflow
from durable_django.engine.scope import LEVELS, Scope, read_index
from durable_django.exceptions import RunFailed
from durable_django.models import Attempt, Step
from durable_django.testing import advance, drain
from tests.app.models import Effect
from tests.bodies import MAKERS
from tests.plugins.store import Store

Fork = Callable[..., list[Any]]


@pytest.fixture
def fork(kind: str) -> Fork:
    """Make branches of the kind of the workflow: one for each value, of a body that yields its calls."""

    def make(ctx: Any, body: Callable[..., Any], values: Any) -> list[Any]:
        return [functools.partial(MAKERS[kind](lambda c, v=each: body(c, v)), ctx) for each in values]

    return make


def effect(key: str) -> str:
    Effect.objects.create(key=key)
    return key


def effects() -> list[str]:
    return sorted(Effect.objects.values_list("key", flat=True))


# --- join -----------------------------------------------------------------------------------------


def test_results_come_in_the_order_of_the_branches(declare: Any, fork: Fork) -> None:
    """The tuple has the value of each branch in its place, whichever ended first; the same id serves in each."""

    def body(ctx: Any, n: int) -> Any:
        first = yield ctx.step.run("same", effect, f"first {n}")
        yield ctx.step.sleep("nap", f"{10 - n}m")
        return first, (yield ctx.step.run("same", effect, f"second {n}"))

    @declare(id="group")
    def group(ctx: Any) -> Any:
        return (yield ctx.group.parallel(fork(ctx, body, range(5))))

    handle = group.start()
    advance("11m")
    assert handle.result(0) == [[f"first {n}", f"second {n}"] for n in range(5)]
    assert effects() == sorted(f"{word} {n}" for word in ("first", "second") for n in range(5))


def test_an_empty_group_gives_nothing(declare: Any) -> None:
    """No branches, no results, no waiting."""

    @declare(id="empty")
    def empty(ctx: Any) -> Any:
        return (yield ctx.group.parallel([]))

    handle = empty.start()
    drain()
    assert handle.result(0) == []


def test_branches_without_steps_are_plain_calls(declare: Any, fork: Fork) -> None:
    """A branch need not call a step."""

    @declare(id="plain")
    def plain(ctx: Any) -> Any:
        return (yield ctx.group.parallel([lambda: 1, lambda: 2]))

    handle = plain.start()
    drain()
    assert handle.result(0) == [1, 2]


def test_a_failure_surfaces_when_the_others_are_done(declare: Any, fork: Fork) -> None:
    """The others are carried to their end, over waits and retries; then the first failure in order is raised."""

    def body(ctx: Any, n: int) -> Any:
        if n in (1, 3):
            yield ctx.step.run("fail", raise_error, f"error {n}", retries=0)
        yield ctx.step.sleep("nap", "1h")
        return (yield ctx.step.run("work", effect, f"work {n}"))

    @declare(id="group")
    def group(ctx: Any) -> Any:
        try:
            yield ctx.group.parallel(fork(ctx, body, range(4)))
        except StepError as error:
            return [error.message, (yield ctx.step.run("seen", effects))]

    handle = group.start()
    drain()
    assert handle.status == "waiting"
    advance("61m")
    assert handle.result(0) == ["error 1", ["work 0", "work 2"]]


def raise_error(text: str) -> None:
    raise ValueError(text)


def test_an_uncaught_failure_fails_the_run(declare: Any, fork: Fork) -> None:
    """A StepError that leaves the group and the workflow fails the run with the step's error."""

    def body(ctx: Any, n: int) -> Any:
        yield ctx.step.run("fail", raise_error, "wrong", retries=0)

    @declare(id="group")
    def group(ctx: Any) -> Any:
        yield ctx.group.parallel(fork(ctx, body, [0]))

    handle = group.start()
    drain()
    with pytest.raises(RunFailed, match="wrong"):
        handle.result(0)


def test_waits_sleeps_and_retries_overlap(declare: Any, fork: Fork) -> None:
    """All branches wait at the same time: the group takes as long as the longest."""
    tries: list[int] = []

    def stumble() -> str:
        tries.append(1)
        if len(tries) < 3:
            raise ValueError("again")
        return "tried"

    def body(ctx: Any, what: str) -> Any:
        if what == "sleep":
            yield ctx.step.sleep("nap", "1h")
            return "slept"
        if what == "wait":
            found = yield ctx.step.wait_for_event("answer", event="app/answer", timeout="1d")
            return found.data["n"]
        return (yield ctx.step.run("stumble", stumble, backoff="20m"))

    @declare(id="group")
    def group(ctx: Any) -> Any:
        return (yield ctx.group.parallel(fork(ctx, body, ["sleep", "wait", "retry"])))

    handle = group.start()
    drain()
    assert sorted(Step.objects.values_list("status", "kind")) == [
        ("retrying", "run"),
        ("waiting", "event"),
        ("waiting", "sleep"),
    ]
    send_event("app/answer", {"n": 7})
    drain()
    for _ in range(3):
        advance("20m 10s")
    assert handle.result(0) == ["slept", 7, "tried"]
    assert Attempt.objects.count() == 2


# --- nesting and limits ---------------------------------------------------------------------------


def test_groups_nest_to_a_limit(declare: Any, fork: Fork) -> None:
    """Three levels of groups work, with the same ids on all of them; a fourth fails the run with a code."""

    def body(ctx: Any, place: tuple[int, ...]) -> Any:
        own = yield ctx.step.run("same", effect, f"{place}")
        if len(place) == depth:
            return own
        inner = yield ctx.group.parallel(fork(ctx, body, [(*place, n) for n in range(2)]))
        yield ctx.step.sleep("nap", "1m")
        return [own, *inner]

    @declare(id="nest")
    def nest(ctx: Any) -> Any:
        return (yield from body(ctx, ()))

    depth = LEVELS
    handle = nest.start()
    for _ in range(LEVELS + 1):
        advance("2m")
    assert handle.result(0)[1][1][1] == "(0, 0, 0)"
    assert len(effects()) == len(set(effects())) == 1 + 2 + 4 + 8
    depth = LEVELS + 1
    deeper = nest.start()
    drain()
    with pytest.raises(RunFailed, match="3 levels deep"):
        deeper.result(0)


@pytest.mark.parametrize("path", [(), (0,), (65_534,), (5, 0), (65_534, 65_534, 65_534)])
@pytest.mark.parametrize("count", [0, 1, 32_767])
def test_an_index_tells_branch_and_count(path: tuple[int, ...], count: int) -> None:
    """Index and place can be computed from each other, and the index fits into the column."""
    index = Scope(path).index(count)
    assert read_index(index) == (path, count)
    assert -(1 << 63) <= index < 1 << 63


def test_a_task_has_an_index_of_its_own() -> None:
    """The scope of a task is known by its first step, and so are those of the groups inside it."""
    task: Any = object()
    first, second, other = (Scope().adopt(task, name) for name in ("a", "a", "b"))
    branches = {each.path for each in (first, other, *first.split(2), *first.split(2))}
    assert len(branches) == 6
    assert read_index(first.index(3)) == (first.path, 3)
    assert first.path == second.path  # each of a scope that is new


def test_a_thousand_branches(declare: Any, fork: Fork, configure: Any) -> None:
    """1,000 branches, each of a step, a wait and a step, come to their end in a few slices."""
    configure(STEP_LIMIT=3_000)

    def body(ctx: Any, n: int) -> Any:
        value = yield ctx.step.run("a", int, n)
        yield ctx.step.sleep("nap", "1m")
        return value + (yield ctx.step.run("b", int, n))

    @declare(id="many")
    def many(ctx: Any) -> Any:
        return sum((yield ctx.group.parallel(fork(ctx, body, range(1_000)))))

    handle = many.start()
    drain()
    advance("2m")
    assert handle.result(0) == 999_000
    assert Step.objects.count() == 3_000


@pytest.mark.parametrize("arguments", [([1],), ([int], "both")])
def test_a_group_that_cannot_work_fails_the_run(declare: Any, arguments: Any) -> None:
    """What is not callable, and a mode that does not exist, is refused with a code and no retry."""

    @declare(id="wrong")
    def wrong(ctx: Any) -> Any:
        branches, *mode = arguments
        yield ctx.group.parallel(branches, **({"mode": mode[0]} if mode else {}))

    handle = wrong.start()
    drain()
    with pytest.raises(RunFailed, match="parallel"):
        handle.result(0)
    assert not Attempt.objects.exists()


def test_a_def_workflow_refuses_coroutine_branches(store: Store) -> None:
    """A branch that nobody would await is an error at once."""

    async def branch() -> None:
        raise AssertionError("never begun")

    @workflow(id="mixed")
    def mixed(ctx: Any) -> Any:
        ctx.group.parallel([branch])

    handle = mixed.start()
    drain()
    with pytest.raises(RunFailed, match="awaitable"):
        handle.result(0)


def test_a_group_inside_a_step_is_refused(declare: Any) -> None:
    """Steps cannot be nested, groups neither; ``except Exception`` hides nothing."""

    @declare(id="nested")
    def nested(ctx: Any) -> Any:
        def work() -> None:
            try:
                ctx.group.parallel([lambda: 1])
            except Exception:
                return

        async def awork() -> None:
            try:
                await ctx.group.parallel([lambda: 1])
            except Exception:
                return

        yield ctx.step.run("outer", awork if nested.is_async else work)

    handle = nested.start()
    drain()
    with pytest.raises(RunFailed, match="cannot be nested"):
        handle.result(0)
