"""What an event would do, in words."""

from __future__ import annotations

from typing import Any

from ..engine.alias import get_alias
from ..engine.plan_event import EventPlan, plan_event
from .console import Console


def tell_forecast(console: Console, event: dict[str, Any]) -> None:
    """Print what the event would start, end and cancel, and why not more; nothing is sent."""
    plan = plan_event(event["name"], event["data"], id=event.get("id"), using=get_alias())
    if console.as_json:
        console.data({"name": event["name"], "dry_run": True, **plan.as_dict()})
        return
    console.line(f"Nothing was sent. {_say(plan)}")
    for end in (*plan.ends, *plan.cancels):
        what = f"ends wait {end.wait_id} of step {end.step!r} in" if end.step else "cancels"
        console.line(f"  {what} {end.workflow} {end.run_id}")
    for reason in plan.refused:
        console.line(f"  {reason} [{reason.code}]")
    if plan.near:
        console.note(f"Similar names: {', '.join(map(repr, plan.near))}.")


def _say(plan: EventPlan) -> str:
    more = "at least " if plan.more else ""
    started = f"start {', '.join(plan.starts)}" if plan.starts else "start no run"
    return f"It would {started}, end {more}{len(plan.ends)} waits and cancel {len(plan.cancels)} runs."
