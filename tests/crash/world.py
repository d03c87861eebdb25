"""What the player process shares with the workflows that it plays: crash points, the ledger, the time."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from durable_django import clock, step_key
from durable_django.define.context import current_context
from durable_django.duration import parse_duration
from tests.crash.points import Points

points = Points(0)
folder = Path()
patient = False
"""Whether each deed waits until what the one before it began has recovered from a fault."""
server = ""
"""The address of a web server that answers with the number of the requests it got."""


def effect(name: str, value: Any = None) -> Any:
    """Leave a trace outside the database, with the step's idempotency key."""
    points.reach(f"effect {name}")
    _append("ledger", [name, step_key()])
    return name if value is None else value


def row(name: str) -> str:
    """Leave a trace inside the database."""
    from tests.app.models import Effect

    Effect.objects.create(key=name, run=step_key())
    return name


def fail_first(name: str = "") -> None:
    """Fail as long as no failed attempt of that step, or of the code between steps, is stored."""
    run = current_context.get().run_id
    with ThreadPoolExecutor(1) as pool:  # an event loop must not ask the database itself
        if not pool.submit(_has_failed, run, name).result():
            raise ValueError(name)


def _has_failed(run: str, name: str) -> bool:
    from django.db import connections

    from durable_django.models import Attempt

    try:
        return Attempt.objects.filter(run_id=run, name=name).exists()
    finally:
        connections.close_all()


def read(kind: str) -> list[list[Any]]:
    """Return the lines of a file of the world."""
    path = folder / kind
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def note(kind: str, *fields: Any) -> None:
    """Append a line to a file of the world; a killed process loses none."""
    _append(kind, list(fields))


def _append(kind: str, fields: list[Any]) -> None:
    descriptor = os.open(folder / kind, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(descriptor, json.dumps(fields).encode() + b"\n")
    finally:
        os.close(descriptor)


def travel(duration: Any) -> None:
    """Let time pass for this process and those that come after it."""
    seconds = parse_duration(duration).total_seconds()
    note("time", seconds)
    clock.travel(parse_duration(duration))


def travel_to(duration: Any) -> None:
    """Let time pass until so much of it has passed in all, whichever processes it passed for."""
    left = parse_duration(duration).total_seconds() - sum(line[0] for line in read("time"))
    if left > 0:
        travel(left * 1000.0)


def resume_time() -> None:
    """Let this process begin at the time at which the last one ended."""
    clock.reset()
    clock.travel(parse_duration(sum(line[0] for line in read("time")) * 1000.0))
