"""A run gives the same result and the same effects wherever and however often it is suspended."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from durable_django import EventWait, StepError
from durable_django.engine.keeper import keeper
from durable_django.models import Attempt, Event, Run, Step, Wait
from durable_django.testing import advance
from tests.app.models import Effect

LEAF = st.one_of(
    st.tuples(st.just("run"), st.sampled_from(["a", "b"]), st.booleans()),
    st.tuples(st.just("sleep"), st.sampled_from(["a", "b"]), st.sampled_from([0, 1_000, 60_000])),
    st.tuples(st.just("wait"), st.sampled_from(["a", "c"]), st.booleans()),
    st.tuples(st.just("send"), st.sampled_from(["b", "c"]), st.integers(0, 3)),
    st.tuples(st.just("invoke"), st.sampled_from(["b", "g"]), st.booleans()),
    st.tuples(st.just("any"), st.sampled_from(["c", "h"]), st.booleans()),
    st.tuples(st.just("fail"), st.sampled_from(["d", "e"]), st.integers(0, 2)),
    st.tuples(st.just("flaky"), st.just("f"), st.integers(1, 2)),
)
PROGRAM = st.recursive(
    st.lists(LEAF, max_size=4),
    lambda inner: st.lists(
        st.one_of(LEAF, st.tuples(st.just("loop"), st.integers(1, 3), inner)), min_size=1, max_size=4
    ),
    max_leaves=8,
)


class World:
    """One execution of a program: what its steps did, and how it is interrupted."""

    def __init__(self, interrupted: bool) -> None:
        self.interrupted = interrupted
        self.count = 0
        self.failures: dict[str, int] = {}

    def act(self, key: str) -> int:
        Effect.objects.create(key=key)
        self.interrupt()
        self.count += 1
        return self.count

    def fail(self, key: str) -> None:
        Effect.objects.create(key=f"fail {key}")
        self.interrupt()
        raise ValueError(key)

    def stumble(self, key: str, times: int) -> str:
        Effect.objects.create(key=f"try {key}")
        self.interrupt()
        self.failures[key] = self.failures.get(key, 0) + 1
        if self.failures[key] <= times:
            raise ValueError(key)
        return key

    def interrupt(self) -> None:
        if self.interrupted:
            keeper.stop_slices()


def interpret(ctx: Any, world: World, program: Any, place: str, log: list[Any]) -> Any:
    """Perform a program's calls as steps, and log what each returned."""
    for number, (verb, *arguments) in enumerate(program):
        here = f"{place}.{number}"
        if verb == "loop":
            for turn in range(arguments[0]):
                yield from interpret(ctx, world, arguments[1], f"{here}.{turn}", log)
            continue
        try:
            log.append((yield from perform(ctx, world, verb, here, *arguments)))
        except StepError as error:
            log.append(["failed", error.name, error.message])


def perform(ctx: Any, world: World, verb: str, here: str, name: str, detail: Any) -> Any:
    if verb == "run":
        return (yield ctx.step.run(name, world.act, here, atomic=detail))
    if verb == "sleep":
        return (yield ctx.step.sleep(name, detail))
    if verb == "wait":
        asked = {"if_exp": "async.data.n > 1"} if detail else {}
        found = yield ctx.step.wait_for_event(name, event="app/never", timeout="1m", **asked)
        return found and found.data
    if verb == "invoke":
        return (
            yield ctx.step.invoke_by_id(name, function_id="child" if detail else "none", data={"at": here})
        )
    if verb == "any":
        waits = [EventWait(event="app/sent", since="run" if detail else None), EventWait(event="app/never")]
        found = yield ctx.step.wait_for_any(name, waits, timeout="1m")
        return found and [found[0], found[1].data]
    if verb == "send":
        return len(
            (yield ctx.step.send_event(name, [{"name": "app/sent", "data": {"n": n}} for n in range(detail)]))
        )
    if verb == "fail":
        return (yield ctx.step.run(name, world.fail, here, retries=detail, backoff="1s"))
    return (yield ctx.step.run(name, world.stumble, here, detail, retries=3, backoff="1s"))


def execute(declare: Any, registry: Any, program: Any, *, interrupted: bool) -> dict[str, Any]:
    for model in (Run, Step, Wait, Event, Attempt, Effect):
        model.objects.all().delete()
    world = World(interrupted)
    registry.restore({})

    @declare(id="program")
    def run_program(ctx: Any) -> Any:
        log: list[Any] = []
        yield from interpret(ctx, world, program, "0", log)
        return log

    @declare(id="child")
    def run_child(ctx: Any) -> Any:
        here = ctx.event.data["at"]
        return [(yield ctx.step.run("a", world.act, f"child {here}")), (yield ctx.step.sleep("nap", 1_000))]

    handle = run_program.start()
    for _ in range(200):
        if handle.status == "completed":
            break
        advance("61s")
    return {
        "result": json.dumps(handle.result(0)),
        "effects": list(Effect.objects.order_by("id").values_list("key", flat=True)),
        "steps": sorted(Step.objects.values_list("name", "index", "kind", "output", "attempt")),
        "attempts": sorted(Attempt.objects.values_list("name", "index", "number", "message")),
        "sent": Event.objects.filter(name="app/sent").count(),
        "waits": sorted(Wait.objects.values_list("name", "index", "status")),
    }


def drop_ids(told: dict[str, Any]) -> dict[str, Any]:
    steps = [(*step[:3], None if step[2] in ("send", "any") else step[3], step[4]) for step in told["steps"]]
    return {**told, "steps": steps}


@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(program=PROGRAM)
def test_interruptions_change_nothing(declare: Any, registry: Any, program: Any) -> None:
    """A random program is the same run, suspended after each step or not."""
    straight = execute(declare, registry, program, interrupted=False)
    broken = execute(declare, registry, program, interrupted=True)
    assert drop_ids(broken) == drop_ids(straight)
