"""A worker may die at any statement: nothing is lost, doubled or stuck (F1 to F12, F43 to F45)."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connections

from durable_django import RunHandle, send_event
from durable_django.engine.operations import retry_run
from durable_django.exceptions import RunFailed
from durable_django.models import Event, Run, RunStatus, Step, Wait, WaitKey
from durable_django.testing import advance, drain
from tests.app.models import Effect
from tests.plugins.store import Store


class Killed(KeyboardInterrupt):
    """Stands for SIGKILL: no handler of the engine runs after it, and open transactions are rolled back."""


class Killer:
    """Kills the worker before its n-th statement, which is to say after the one before that."""

    def __init__(self, number: int) -> None:
        self.left = number
        self.killed = False

    def __call__(self, execute: Any, *statement: Any) -> Any:
        self.left -= 1
        if self.left or self.killed:
            return execute(*statement)
        self.killed = True
        raise Killed


def effect(key: str) -> str:
    Effect.objects.create(key=key)
    return key


def declare_order(declare: Any) -> None:
    @declare(id="order", trigger="shop/ordered", backoff="1s")
    def order(ctx: Any) -> Any:
        first = yield ctx.step.run("reserve", effect, "reserve", atomic=True)
        yield ctx.step.sleep("cool", "1m")
        yield ctx.step.send_event("tell", {"name": "shop/reserved"})
        paid = yield ctx.step.wait_for_event("paid", event="shop/paid", match="data.order", timeout="1d")
        last = yield ctx.step.run("ship", effect, "ship", atomic=True)
        return [first, paid.data["by"], last]

    @declare(id="listener", trigger="shop/reserved")
    def listener(ctx: Any) -> Any:
        yield ctx.step.run("heard", effect, "heard", atomic=True)


def play(scene: int) -> None:
    if scene == 0:
        send_event("shop/ordered", {"order": 7})
    elif scene == 1:
        advance("2m")
    elif scene == 2:
        send_event("shop/paid", {"order": 7, "by": "card"})


@pytest.mark.parametrize("scene", [0, 1, 2])
def test_a_crash_at_any_statement(store: Store, declare: Any, scene: int) -> None:
    """Whatever statement a process dies at, each effect exists once and the result is the same."""
    declare_order(declare)
    number = 0
    while True:
        number += 1
        killer = Killer(number)
        for earlier in range(scene):
            play(earlier)
        with connections[store.alias].execute_wrapper(killer):
            try:
                play(scene)
            except Killed:
                connections[store.alias].close()  # as the death of its process does
        assert_whole(scene, number)
        if not killer.killed:
            break
        for model in (Run, Step, Wait, WaitKey, Event, Effect):
            model.objects.all().delete()
    assert number > 4


def assert_whole(scene: int, number: int) -> None:
    advance("2m")
    advance("2m")
    if not Event.objects.filter(name="shop/ordered").exists():
        play(0)  # the sender died before its commit, so it sends again
        advance("2m")
    if not Event.objects.filter(name="shop/paid").exists():
        play(2)
    drain()
    runs = Run.objects.filter(workflow="order")
    assert [(run.status, run.result.output) for run in runs] == [
        ("completed", '["reserve","card","ship"]')
    ], f"killed at statement {number} of scene {scene}"
    assert sorted(Effect.objects.values_list("key", flat=True)) == ["heard", "reserve", "ship"]
    assert Event.objects.filter(routed_at=None).count() == 0
    assert Wait.objects.filter(status="open").count() == WaitKey.objects.count() == 0


@pytest.mark.parametrize("where", ["step", "workflow"])
def test_a_run_that_kills_its_workers_is_quarantined(declare: Any, configure: Any, where: str) -> None:
    """After CRASH_LIMIT deaths in a row the run fails unexecuted; an operator may let it go on."""
    configure(CRASH_LIMIT=3)
    deaths: list[int] = []
    mended: list[int] = []

    @declare(id="neighbour")
    def neighbour(ctx: Any) -> Any:
        return (yield ctx.step.run("fine", int))

    @declare(id="poison")
    def poison(ctx: Any) -> Any:
        def die() -> str:
            if mended:
                return "well"
            deaths.append(1)
            raise Killed

        yield ctx.step.run("before", int)
        return die() if where == "workflow" else (yield ctx.step.run("die", die))

    with pytest.raises(Killed):
        poison.start()
    for _ in range(2):
        with pytest.raises(Killed):
            advance("1m")
    assert len(deaths) == 3
    assert neighbour.start().result(0) == 0
    advance("1m")
    run = Run.objects.get(workflow="poison")
    assert len(deaths) == 3
    assert (run.status, run.wake_at, run.owner) == (RunStatus.FAILED, None, "")
    with pytest.raises(RunFailed) as caught:
        RunHandle(run.id).result(0)
    assert caught.value.details["told"]["code"] == "run_quarantined"
    mended.append(1)
    assert retry_run(run.id, actor="me").result(0) == "well"


def test_an_orderly_slice_ends_a_row_of_crashes(declare: Any, configure: Any) -> None:
    """Only deaths in a row count: a run that parks in between is not held back."""
    configure(CRASH_LIMIT=2)
    deaths = [1, 0, 1, 0]

    @declare()
    def shaky(ctx: Any) -> Any:
        def stumble() -> None:
            if deaths.pop(0):
                raise Killed

        yield ctx.step.run("a", stumble)
        yield ctx.step.sleep("nap", "1s")
        yield ctx.step.run("b", stumble)
        return "through"

    with pytest.raises(Killed):
        shaky.start()
    for _ in range(8):
        try:
            advance("1m")
        except Killed:
            continue
    assert Run.objects.get().result.output == '"through"'
