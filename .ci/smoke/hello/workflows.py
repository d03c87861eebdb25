from __future__ import annotations

from typing import Any

from durable_django import EventTrigger, workflow


@workflow(id="hello", trigger=EventTrigger("app/hello"))
def hello(ctx: Any) -> dict[str, int]:
    one = ctx.step.run("one", lambda: 1)
    ctx.step.sleep("nap", "10ms")
    return {"sum": one + 1}
