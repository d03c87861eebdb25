"""Plan, import the chunks side by side, sum up: three workflows, joined by events.

Nobody waits for the chunks. They count themselves in the import's row, and the one that completes the
count says so. Thus no event can come too early to be seen.
"""

from __future__ import annotations

from typing import Any

from durable_django import Context, Event, workflow
from example_project.imports import steps


@workflow(id="csv-import", trigger="csv/import.requested")
def plan_import(ctx: Context) -> dict[str, int]:
    import_id = ctx.event.data["import_id"]
    chunks = ctx.step.run("plan", steps.plan_chunks, import_id, atomic=True)
    if not chunks:
        announce_end(ctx, import_id)
        return {"chunks": 0}
    ctx.step.send_event("fan-out", [Event(name="csv/chunk.planned", data=chunk) for chunk in chunks])
    return {"chunks": len(chunks)}


@workflow(id="csv-import-chunk", trigger="csv/chunk.planned")
def import_chunk(ctx: Context) -> dict[str, bool]:
    chunk = ctx.event.data
    is_last = ctx.step.run(
        "import", steps.import_chunk, chunk["import_id"], chunk["first"], chunk["rows"], atomic=True
    )
    if is_last:
        announce_end(ctx, chunk["import_id"])
    return {"last": is_last}


@workflow(id="csv-import-summary", trigger="csv/import.finished")
def sum_up_import(ctx: Context) -> dict[str, Any]:
    summary: dict[str, Any] = ctx.step.run("sum-up", steps.sum_up, ctx.event.data["import_id"], atomic=True)
    return summary


def announce_end(ctx: Context, import_id: int) -> None:
    ctx.step.send_event("announce-end", Event(name="csv/import.finished", data={"import_id": import_id}))
