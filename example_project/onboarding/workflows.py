"""A welcome, a day's pause, and then tips for those who came or a nudge for those who did not."""

from __future__ import annotations

from durable_django import AsyncContext, workflow
from example_project.onboarding import steps


@workflow(id="onboard-user", trigger="user/registered")
async def onboard_user(ctx: AsyncContext) -> dict[str, str]:
    user_id = ctx.event.data["user_id"]
    await ctx.step.run("welcome", steps.send_welcome, user_id, atomic=True)
    await ctx.step.sleep("let-them-look-around", ctx.event.data["pause"])
    if await is_activated(ctx, user_id):
        await ctx.step.run("tips", steps.send_tips, user_id, atomic=True)
        return {"mail": "tips"}
    await ctx.step.run("nudge", steps.send_nudge, user_id, atomic=True)
    return {"mail": "nudge"}


async def is_activated(ctx: AsyncContext, user_id: int) -> bool:
    # A wait sees only events that come after it began, so look at the row before and after it.
    if await ctx.step.run("active-before", steps.is_active, user_id):
        return True
    activation = await ctx.step.wait_for_event(
        "activation", event="user/activated", match="data.user_id", timeout=ctx.event.data["patience"]
    )
    return activation is not None or await ctx.step.run("active-after", steps.is_active, user_id)
