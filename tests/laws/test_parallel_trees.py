"""Any tree of nested groups gives what it would give in sequence, wherever and however often it is suspended."""

from __future__ import annotations

import functools
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from durable_django import StepError
from durable_django.engine.keeper import keeper
from durable_django.models import Attempt, Event, Run, Step, Wait
from durable_django.testing import advance
from tests.app.models import Effect
from tests.bodies import MAKERS

NAMES = st.sampled_from(["a", "b"])
LEAF = st.one_of(
    st.tuples(st.just("run"), NAMES),
    st.tuples(st.just("sleep"), NAMES),
    st.tuples(st.just("flaky"), NAMES),
    st.tuples(st.just("fail"), st.just("f")),
)
LEAVES = st.lists(LEAF, max_size=3)


def group_over(branch: Any) -> Any:
    group = st.tuples(st.just("group"), st.lists(branch, max_size=3))
    return st.lists(st.one_of(LEAF, group), max_size=3)


TREE = group_over(group_over(group_over(LEAVES)))


class World:
    """What the steps of one run do: they leave a trace, fail as they are told, and stop the worker now and then."""

    def __init__(self, stops: set[int]) -> None:
        self.stops = stops
        self.count = 0
        self.failed: set[str] = set()

    def act(self, place: str) -> str:
        Effect.objects.create(key=place)
        self.count += 1
        if self.count in self.stops:
            keeper.stop_slices()
        return place

    def stumble(self, place: str) -> str:
        if place not in self.failed:
            self.failed.add(place)
            raise ValueError(place)
        return self.act(place)

    def fail(self, place: str) -> None:
        self.act(place)
        raise ValueError(place)


def perform(ctx: Any, world: World, kind: str, tree: Any, place: str) -> Any:
    """Carry out a tree; a group that fails is caught where it stands, a leaf that fails ends its branch."""
    log: list[Any] = []
    for number, (verb, detail) in enumerate(tree):
        here = f"{place}.{number}"
        if verb == "group":
            bodies = [
                MAKERS[kind](lambda c, at=f"{here}.{n}", each=each: perform(c, world, kind, each, at))
                for n, each in enumerate(detail)
            ]
            try:
                log.append((yield ctx.group.parallel([functools.partial(body, ctx) for body in bodies])))
            except StepError as error:
                log.append(["failed", error.message])
        elif verb == "run":
            log.append((yield ctx.step.run(detail, world.act, here)))
        elif verb == "sleep":
            log.append((yield ctx.step.sleep(detail, "1m")))
        elif verb == "flaky":
            log.append((yield ctx.step.run(detail, world.stumble, here, retries=1, backoff="1s")))
        else:
            yield ctx.step.run(detail, world.fail, here, retries=0)
    return log


class Failed(Exception):
    """A leaf failed in the plain evaluation."""


def evaluate(tree: Any, place: str, effects: list[str]) -> list[Any]:
    """Return what the tree gives if its branches are taken one after the other."""
    log: list[Any] = []
    for number, (verb, detail) in enumerate(tree):
        here = f"{place}.{number}"
        if verb == "group":
            log.append(_evaluate_group(detail, here, effects))
            continue
        if verb != "sleep":
            effects.append(here)
        if verb == "fail":
            raise Failed(here)
        log.append(None if verb == "sleep" else here)
    return log


def _evaluate_group(branches: Any, here: str, effects: list[str]) -> Any:
    results: list[Any] = []
    failures: list[str] = []
    for number, branch in enumerate(branches):
        try:
            results.append(evaluate(branch, f"{here}.{number}", effects))
        except Failed as error:
            failures.append(str(error))
    return ["failed", failures[0]] if failures else results


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(tree=TREE, stops=st.sets(st.integers(1, 12)))
def test_a_tree_of_groups_is_what_it_is_in_sequence(
    declare: Any, registry: Any, kind: str, tree: Any, stops: set[int]
) -> None:
    """Groups in groups, with steps, sleeps, retries and failures: the same result, and each effect once."""
    for model in (Run, Step, Wait, Event, Attempt, Effect):
        model.objects.all().delete()
    registry.restore({})
    world, effects = World(stops), list[str]()
    whole = [("group", [tree])]
    expected = evaluate(whole, "0", effects)

    @declare(id="tree", retries=0)
    def grow(ctx: Any) -> Any:
        return (yield from perform(ctx, world, kind, whole[0][1][0], "0.0.0"))

    handle = grow.start()
    for _ in range(100):
        if handle.status in ("completed", "failed"):
            break
        advance("61s")
    assert sorted(Effect.objects.values_list("key", flat=True)) == sorted(effects)
    if expected[0][:1] == ["failed"]:
        assert handle.status == "failed"
    else:
        assert handle.result(0) == expected[0][0]
