"""§4: what is no change of the order raises no warning."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from durable_django.testing import advance
from tests.bodies import make
from tests.conformance.versions import DONE, read_warning, walk

Deploy = Callable[..., Any]


def test_def_may_become_async_def_and_back(deploy: Deploy, kind: str) -> None:
    """The other kind of function finds the same memos."""
    body = walk("c", before=("a", "b"))
    handle = deploy(body).start()
    deploy(body, as_kind="async" if kind == "def" else "def")
    advance("61m")
    assert handle.result(0) == ["a", "b", "c"]
    assert DONE == ["a", "b", "c"]
    assert read_warning() == ""


def test_loops_and_branches_raise_no_alarm(deploy: Deploy) -> None:
    """Ids used again, and branches that overtake each other, are the order that they were."""

    def body(ctx: Any) -> Any:
        def branch(name: str, nap: str) -> Any:
            def steps(ctx: Any) -> Any:
                yield ctx.step.run("one", lambda: name)
                yield ctx.step.sleep("nap", nap)
                return (yield ctx.step.run("two", lambda: name))

            function = make("async" if ctx.workflow.is_async else "def", steps)
            return lambda: function(ctx)

        for number in range(3):
            yield ctx.step.run("a", lambda number=number: number)
            yield ctx.step.sleep("b", "1m")
        return list((yield ctx.group.parallel([branch("x", "3h"), branch("y", "1h"), branch("z", "2h")])))

    handle = deploy(body).start()
    for _ in range(12):
        advance("31m")
    assert handle.result(0) == ["x", "y", "z"]
    assert read_warning() == ""


def test_gathered_tasks_raise_no_alarm(deploy: Deploy, kind: str) -> None:
    """Tasks of an async workflow that overtake each other are compared with themselves alone."""

    async def branch(ctx: Any, name: str, naps: int) -> str:
        for _ in range(naps):
            await ctx.step.sleep(f"nap {name}", "1h")
        return str(await ctx.step.run(f"end {name}", lambda: name))

    async def gather(ctx: Any) -> Any:
        found = await asyncio.gather(branch(ctx, "slow", 4), branch(ctx, "quick", 1), branch(ctx, "none", 0))
        await ctx.step.sleep("last nap", "1h")
        return found

    def body(ctx: Any) -> Any:
        return (yield gather(ctx))

    handle = deploy(body, as_kind="async").start()
    for _ in range(6):
        advance("61m")
    assert handle.result(0) == ["slow", "quick", "none"]
    assert read_warning() == ""
