"""Scenes of steps that call functions: plain, atomic, failing, parallel, fetching."""

from __future__ import annotations

from typing import Any

from durable_django import NonRetriableError, OpenAI, StepError, step, workflow
from tests.app.models import Ticket
from tests.bodies import make
from tests.crash import world
from tests.crash.deeds import send, wait
from tests.crash.scene import add
from tests.crash.world import effect, row


@add(
    "steps",
    send("crash/steps", n=1),
    expected=[["steps", "completed", '["a","b","c"]']],
)
def steps(kind: str) -> None:
    @workflow(id="steps", trigger="crash/steps")
    @lambda body: make(kind, body)
    def steps(ctx: Any) -> Any:
        first = yield ctx.step.run("a", effect, "a")
        second = yield ctx.step.run("b", row, "b", atomic=True)
        third = yield ctx.step.run("c", effect, "c")
        return [first, second, third]


@add(
    "relaxed",
    send("crash/relaxed", n=1),
    expected=[["relaxed", "completed", '["a","b"]']],
)
def relaxed(kind: str) -> None:
    @workflow(id="relaxed", trigger="crash/relaxed", durability="relaxed")
    @lambda body: make(kind, body)
    def relaxed(ctx: Any) -> Any:
        return [(yield ctx.step.run("a", effect, "a")), (yield ctx.step.run("b", row, "b", atomic=True))]


def stumble(name: str) -> str:
    """Fail as long as no failed attempt of this name is stored."""
    effect(name)
    world.fail_first(name)
    return name


def refuse(name: str) -> None:
    effect(name)
    raise NonRetriableError(name)


def stumble_atomic(name: str) -> str:
    row(name)
    return stumble(name)


@add(
    "retries",
    send("crash/retries", n=1),
    expected=[["retries", "completed", '["a","b","caught","d"]']],
)
def retries(kind: str) -> None:
    @workflow(id="retries", trigger="crash/retries", retries=2, backoff="5s")
    @lambda body: make(kind, body)
    def retries(ctx: Any) -> Any:
        first = yield ctx.step.run("a", stumble, "a")
        second = yield ctx.step.run("b", stumble_atomic, "b", atomic=True)
        try:
            third = yield ctx.step.run("c", refuse, "c")
        except StepError:
            third = "caught"
        world.fail_first()
        return [first, second, third, (yield ctx.step.run("d", effect, "d"))]


@add(
    "parallel",
    send("crash/parallel", n=1),
    wait("2m"),
    expected=[["parallel", "completed", '[["a","b",null,"d"],"e"]']],
)
def parallel(kind: str) -> None:
    @workflow(id="parallel", trigger="crash/parallel", backoff="5s")
    @lambda body: make(kind, body)
    def parallel(ctx: Any) -> Any:
        branches = (
            lambda: ctx.step.run("a", effect, "a"),
            lambda: ctx.step.run("b", row, "b", atomic=True),
            lambda: ctx.step.sleep("c", "1m"),
            lambda: ctx.step.run("d", stumble, "d"),
        )
        done = yield ctx.group.parallel(branches)
        return [done, (yield ctx.step.run("e", effect, "e"))]


@add(
    "race",
    send("crash/race", n=1),
    wait("2m"),
    expected=[["race", "completed", '[["a",null],"z"]']],
)
def race(kind: str) -> None:
    @workflow(id="race", trigger="crash/race")
    @lambda body: make(kind, body)
    def race(ctx: Any) -> Any:
        branches = (lambda: ctx.step.run("a", effect, "a"), lambda: ctx.step.sleep("b", "1m"))
        done = yield ctx.group.parallel(branches, mode="race")
        return [done, (yield ctx.step.run("z", effect, "z"))]


@step(retries=2, backoff="5s")
def mark(name: str) -> str:
    """A step that other workers can carry out."""
    return str(effect(name))


@step(atomic=True)
def mark_row(name: str) -> str:
    """A step whose row and result are committed together, elsewhere."""
    return row(name)


@add(
    "elsewhere",
    send("crash/elsewhere", n=1),
    expected=[
        ["durable/step", "completed", '"a"'],
        ["durable/step", "completed", '"b"'],
        ["elsewhere", "completed", '["a","b"]'],
    ],
)
def elsewhere(kind: str) -> None:
    @workflow(id="elsewhere", trigger="crash/elsewhere")
    @lambda body: make(kind, body)
    def elsewhere(ctx: Any) -> Any:
        branches = (lambda: mark("a"), lambda: mark_row("b"))
        return (yield ctx.group.parallel(branches, where="workers"))


@add(
    "fetch",
    send("crash/fetch", n=1),
    expected=[["fetch", "completed", '["pong","after"]']],
)
def fetch(kind: str) -> None:
    @workflow(id="fetch", trigger="crash/fetch")
    @lambda body: make(kind, body)
    def fetch(ctx: Any) -> Any:
        got = yield ctx.step.fetch("get", f"{world.server}/ping")
        return [got["body"], (yield ctx.step.run("after", effect, "after"))]


@add(
    "ai",
    send("crash/ai", n=1),
    expected=[["ai", "completed", '["w","hello","after"]']],
)
def ai(kind: str) -> None:
    @workflow(id="ai", trigger="crash/ai")
    @lambda body: make(kind, body)
    def ai(ctx: Any) -> Any:
        wrapped = yield ctx.step.ai.wrap("w", effect, "w")
        model = OpenAI(base_url=f"{world.server}/v1", api_key="key")
        said = yield ctx.step.ai.infer("ask", adapter=model, model="m", messages=[{"content": wrapped}])
        text = said["choices"][0]["message"]["content"]
        return [wrapped, text, (yield ctx.step.run("after", effect, "after"))]


@add(
    "link",
    send("crash/link", n=1),
    expected=[["link", "completed", '["a","b"]']],
)
def link(kind: str) -> None:
    @workflow(id="link", trigger="crash/link")
    @lambda body: make(kind, body)
    def link(ctx: Any) -> Any:
        first = yield ctx.step.run("a", effect, "a")
        yield ctx.link(Ticket, 7)
        return [first, (yield ctx.step.run("b", row, "b", atomic=True))]
