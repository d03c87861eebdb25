"""Workflows of several versions: bodies of steps that note that they ran."""

from __future__ import annotations

from typing import Any

from durable_django.models import Run

DONE: list[str] = []


def take(ctx: Any, name: str, value: str = "") -> Any:
    """Take a step that notes that it ran."""

    def work() -> str:
        DONE.append(name)
        return value or name

    return ctx.step.run(name, work)


def walk(*names: str, before: tuple[str, ...] = ()) -> Any:
    """Return a body with steps before and after an hour's sleep."""

    def body(ctx: Any) -> Any:
        values = []
        for name in before:
            values.append((yield take(ctx, name)))
        yield ctx.step.sleep("nap", "1h")
        for name in names:
            values.append((yield take(ctx, name)))
        return values

    return body


def read_warning() -> str:
    return str(Run.objects.get().warning)
