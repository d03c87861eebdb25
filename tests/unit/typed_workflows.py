"""What type checkers make of the decorators and tools; checked by ``test_types.py``, never run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, assert_type

from durable_django import AsyncContext, Context, Event, RunHandle, step, workflow


@dataclass
class Money:
    amount: int


def load(number: int) -> str:
    return str(number)


async def fetch(number: int) -> bytes:
    return b"x" * number


@step
def charge(amount: int) -> float:
    return amount / 100


@step(id="post", retries=2)
async def post(text: str) -> int:
    return len(text)


@workflow
def bare(ctx: Context) -> int:
    assert_type(ctx.step.run("load", load, 1), str)
    assert_type(ctx.step.run("fetch", fetch, 1), bytes)
    assert_type(ctx.step.run("money", load, 1, output_type=Money), Money)
    assert_type(ctx.step.wait_for_event("paid", event="paid", timeout="1h"), Event | None)
    assert_type(ctx.step.send_event("tell", Event("told")), list[str])
    assert_type(charge(5), float)
    assert_type(ctx.group.parallel([lambda: charge(1), lambda: charge(2)]), tuple[Any, ...])
    ctx.step.sleep("nap", "1h")
    return 1


@workflow(id="other", trigger=["a", "b"], retries=3)
async def other(ctx: AsyncContext) -> str:
    assert_type(await ctx.step.run("load", load, 1, retries=1), str)
    assert_type(await ctx.step.run("fetch", fetch, 1), bytes)
    assert_type(await ctx.step.run("money", fetch, 1, output_type=Money), Money)
    assert_type(await ctx.step.wait_for_event("paid", event="paid", timeout="1h"), Event | None)
    assert_type(await ctx.step.send_event("tell", [Event("told")]), list[str])
    assert_type(await post("x"), int)
    assert_type(await ctx.group.parallel([lambda: post("x")]), tuple[Any, ...])
    await ctx.step.sleep("nap", "1h")
    return "done"


def start(ctx: Context) -> None:
    assert_type(bare.start({"a": 1}), RunHandle)
    assert_type(bare(ctx), int)
    charge("five")  # type: ignore[arg-type]
    bare("no context")  # type: ignore[arg-type]
    workflow(retries="4")  # type: ignore[call-overload]
