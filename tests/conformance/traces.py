"""Functions of the steps: they leave traces that the test reads, from whatever process they run in."""

from __future__ import annotations

from typing import Any

from durable_django import Context
from tests import ledger


def at(ctx: Context, name: str) -> str:
    """Return the name of an event of the case that runs."""
    return f"{ctx.event.data['place']}/{name}"


def note(data: dict[str, Any], run: str, name: str, *more: Any) -> str:
    """Leave a trace and return its name."""
    ledger.record(data["ledger"], run, name, *more)
    return name


def trace(ctx: Context, name: str, *more: Any) -> Any:
    """Take a step that leaves a trace."""
    return ctx.step.run(name, note, ctx.event.data, ctx.run_id, name, *more)


def count(data: dict[str, Any], run: str, name: str) -> int:
    """Return how many traces of the name the run has left."""
    return sum(line[:2] == [run, name] for line in ledger.read(data["ledger"]))


def stumble(data: dict[str, Any], run: str, name: str, times: int, error: str = "stumbled") -> str:
    """Leave a trace; fail as often as told, then return the name."""
    note(data, run, name)
    if count(data, run, name) <= times:
        raise ValueError(error)
    return name


def fail(message: str = "broken") -> None:
    """Fail."""
    raise ValueError(message)


def echo(value: Any) -> Any:
    """Return what was given."""
    return value


async def aecho(value: Any) -> Any:
    """Return what was given, from a coroutine."""
    return value
