"""The workflows that carry out random programs, and those that answer, note, signal and cancel them."""

from __future__ import annotations

import functools
import os
import random
import time
from collections.abc import Callable, Iterator
from typing import Any

from durable_django import Cancel, EventWait, StepError, send_signal, step, step_key, workflow
from durable_django.exceptions import SignalNotAwaited
from durable_django.models import Wait, WaitStatus
from tests.app.models import Effect
from tests.bodies import MAKERS

Body = Iterator[Any]
PATIENT: dict[str, Any] = {"retries": 20, "backoff": "1s"}
"""What fails because of a fault is tried again, as often as faults may come."""
LONG = "1h"
LOOKS = 200


def act(key: str) -> str:
    """Leave one effect; its ``run`` is the key by which a service outside would tell copies apart."""
    Effect.objects.create(key=key, run=step_key()[:64])
    return key


def dawdle(key: str) -> str:
    """Leave one effect in the middle of some time."""
    time.sleep(random.uniform(0.0, 0.2))
    act(key)
    time.sleep(random.uniform(0.0, 0.2))
    return key


def stumble(ctx: Any, key: str, times: int) -> str:
    act(key)
    if ctx.attempt < times:
        raise ValueError(key)
    return key


def fail(key: str) -> None:
    raise ValueError(key)


@step(atomic=True, **PATIENT)
def act_elsewhere(key: str) -> str:
    """Leave one effect, from whichever worker takes it."""
    return act(key)


def interpret(ctx: Any, ops: list[list[Any]], place: str, kind: str) -> Any:
    """Carry out a program; yields each call and returns the list of results."""
    results = []
    for number, op in enumerate(ops):
        results.append((yield from perform(ctx, op, f"{place}.{number}", kind)))
    return results


def perform(ctx: Any, op: list[Any], here: str, kind: str) -> Any:
    return (yield from VERBS[op[0]](ctx, here, kind, *op[1:]))


def do_run(ctx: Any, here: str, kind: str) -> Body:
    return (yield ctx.step.run("run", act, f"plain {here}"))


def do_slow(ctx: Any, here: str, kind: str) -> Body:
    return (yield ctx.step.run("slow", dawdle, f"slow {here}"))


def do_atomic(ctx: Any, here: str, kind: str) -> Body:
    return (yield ctx.step.run("atomic", act, f"atomic {here}", atomic=True))


def do_flaky(ctx: Any, here: str, kind: str, times: int, atomic: bool) -> Body:
    return (yield ctx.step.run("flaky", stumble, ctx, f"flaky {here}", times, atomic=atomic))


def do_fail(ctx: Any, here: str, kind: str) -> Body:
    try:
        yield ctx.step.run("fail", fail, here, retries=1)
    except StepError as error:
        return [error.name, error.message]
    return "no error"


def do_sleep(ctx: Any, here: str, kind: str, milliseconds: int) -> Body:
    return (yield ctx.step.sleep("sleep", milliseconds))


def do_timeout(ctx: Any, here: str, kind: str) -> Body:
    return (yield ctx.step.wait_for_event("timeout", event="chaos/never", timeout=300))


def do_patience(ctx: Any, here: str, kind: str) -> Body:
    return (yield ctx.step.wait_for_event("patience", event="chaos/nobody", timeout=10_000))


def do_ask(ctx: Any, here: str, kind: str) -> Body:
    yield ctx.step.send_event("please", ask(here))
    given = yield ctx.step.wait_for_event(
        "answer", event="chaos/answer", if_exp=f"async.data.token == '{here}'", since="run", timeout=LONG
    )
    return given and given.data["token"]


def do_ask_late(ctx: Any, here: str, kind: str) -> Body:
    yield ctx.step.send_event("please", ask(here, run=ctx.run_id))
    given = yield ctx.step.wait_for_event(
        "late", event="chaos/answer", if_exp=f"async.data.token == '{here}'", timeout=LONG
    )
    return given and given.data["token"]


def do_signal(ctx: Any, here: str, kind: str) -> Body:
    yield ctx.step.send_event("please", {"name": "chaos/signal", "data": {"token": here}})
    given = yield ctx.step.wait_for_signal("signal", signal=here, timeout=LONG)
    return given and given["data"]


def do_any(ctx: Any, here: str, kind: str) -> Body:
    yield ctx.step.send_event("please", ask(here))
    waits = [EventWait(event="chaos/never"), answer_to(here)]
    found = yield ctx.step.wait_for_any("any", waits, timeout=LONG)
    return found and [found[0], found[1].data["token"]]


def do_all(ctx: Any, here: str, kind: str, number: int) -> Body:
    tokens = [f"{here}.{each}" for each in range(number)]
    yield ctx.step.send_event("please", [ask(each) for each in tokens])
    found = yield ctx.step.wait_for_all("all", [answer_to(each) for each in tokens], timeout=LONG)
    return [each and each.data["token"] for each in found]


def do_send(ctx: Any, here: str, kind: str, number: int) -> Body:
    notes = [{"name": "chaos/note", "data": {"key": f"noted {here}.{each}"}} for each in range(number)]
    return len((yield ctx.step.send_event("send", notes)))


def do_fetch(ctx: Any, here: str, kind: str) -> Body:
    url = f"{os.environ['CHAOS_SERVER']}/{here}"
    return (yield ctx.step.fetch("fetch", url, **PATIENT))["body"]


def do_workers(ctx: Any, here: str, kind: str, number: int) -> Body:
    branches = [functools.partial(act_elsewhere, f"remote {here}.{each}") for each in range(number)]
    return list((yield ctx.group.parallel(branches, where="workers")))


def do_loop(ctx: Any, here: str, kind: str, times: int, ops: list[list[Any]]) -> Body:
    results = []
    for turn in range(times):
        results.append((yield from interpret(ctx, ops, f"{here}.{turn}", kind)))
    return results


def do_invoke(ctx: Any, here: str, kind: str, ops: list[list[Any]]) -> Body:
    data = {"place": here, "ops": ops, "kind": kind}
    return (yield ctx.step.invoke("invoke", function=CHILDREN[kind], data=data, timeout=LONG))


def do_parallel(ctx: Any, here: str, kind: str, branches: list[Any]) -> Body:
    made = [
        functools.partial(MAKERS[kind](_interpreter(ops, f"{here}.{number}", kind)), ctx)
        for number, ops in enumerate(branches)
    ]
    return list((yield ctx.group.parallel(made)))


def _interpreter(ops: Any, place: str, kind: str) -> Callable[[Any], Any]:
    def body(ctx: Any) -> Any:
        return interpret(ctx, ops, place, kind)

    return body


VERBS: dict[str, Callable[..., Any]] = {
    name.removeprefix("do_"): verb for name, verb in list(globals().items()) if name.startswith("do_")
}


def ask(token: str, **more: Any) -> dict[str, Any]:
    return {"name": "chaos/ask", "data": {"token": token, **more}}


def answer_to(token: str) -> EventWait:
    return EventWait(event="chaos/answer", if_exp=f"async.data.token == '{token}'", since="run")


def note_failure(ctx: Any) -> None:
    """Leave an effect for the failure of a program."""
    ctx.step.run("note", act, f"failure {ctx.event.data['event']['data']['seed']}", atomic=True)


def _declare(kind: str) -> Any:
    def declare(id: str, body: Callable[[Any], Any], **options: Any) -> Any:
        body.__name__ = id.replace("-", "_")
        return workflow(id=f"{id}-{kind}", **PATIENT, **options)(MAKERS[kind](body))

    def complete(ctx: Any) -> Any:
        data = ctx.event.data
        return (yield from interpret(ctx, data["ops"], data["seed"], kind))

    def be_child(ctx: Any) -> Any:
        data = ctx.event.data
        return (yield from interpret(ctx, data["ops"], data["place"], kind))

    def fail_at_last(ctx: Any) -> Any:
        data = ctx.event.data
        yield from interpret(ctx, data["ops"], data["seed"], kind)
        yield ctx.step.run("last", fail, "the end", retries=0)

    def be_cancelled(ctx: Any) -> Any:
        data = ctx.event.data
        yield ctx.step.send_event("doom", {"name": "chaos/doom", "data": {"seed": data["seed"]}})
        yield from interpret(ctx, data["ops"], data["seed"], kind)
        yield ctx.step.wait_for_event("wait", event="chaos/never", timeout=LONG)

    declare("chaos-completed", complete, trigger=f"chaos/completed.{kind}")
    declare("chaos-failed", fail_at_last, trigger=f"chaos/failed.{kind}", on_failure=note_failure)
    rule = Cancel("chaos/cancel", match="data.seed")
    declare("chaos-cancelled", be_cancelled, trigger=f"chaos/cancelled.{kind}", cancel_on=rule)
    return declare("chaos-child", be_child)


CHILDREN = {kind: _declare(kind) for kind in MAKERS}


@workflow(id="chaos-ask", trigger="chaos/ask", **PATIENT)
def answer(ctx: Any) -> None:
    """Answer a question: at once, or not before somebody waits for it."""
    data = ctx.event.data
    for _ in range(LOOKS):
        if "run" not in data or ctx.step.run("look", is_awaited, data["run"], data["token"]):
            break
        ctx.step.sleep("pause", 200)
    ctx.step.send_event("answer", {"name": "chaos/answer", "data": {"token": data["token"]}})


def is_awaited(run: str, token: str) -> bool:
    return Wait.objects.filter(run_id=run, expression__contains=f"'{token}'").exists()


@workflow(id="chaos-signal", trigger="chaos/signal", **PATIENT)
def signal(ctx: Any) -> None:
    """Send a signal as soon as somebody waits for it."""
    for _ in range(LOOKS):
        if ctx.step.run("signal", try_signal, ctx.event.data["token"]):
            break
        ctx.step.sleep("pause", 200)


def try_signal(token: str) -> bool:
    try:
        send_signal(token, token)
    except SignalNotAwaited:
        # An earlier attempt may have sent it and died before it could say so.
        return Wait.objects.filter(signal=token).exclude(status=WaitStatus.OPEN).exists()
    return True


@workflow(id="chaos-note", trigger="chaos/note", **PATIENT)
def note(ctx: Any) -> None:
    """Leave one effect for an event."""
    ctx.step.run("note", act, ctx.event.data["key"], atomic=True)


@workflow(id="chaos-reaper", trigger="chaos/doom", **PATIENT)
def reap(ctx: Any) -> None:
    """Have a program cancelled, soon."""
    ctx.step.sleep("a moment", sum(ctx.event.data["seed"].encode()) % 700)
    ctx.step.send_event("cancel", {"name": "chaos/cancel", "data": {"seed": ctx.event.data["seed"]}})
