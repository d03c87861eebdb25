"""``durable workers``: the processes that report themselves, and whether they live."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from ...clock import read_time
from ...engine.alias import get_alias
from ...engine.operate_workers import list_workers, read_state, worker_as_dict
from ...engine.words import say_length
from ..console import Console

HELP = "list workers"
HEAD = ("NAME", "STATE", "KIND", "QUEUES", "SLOTS", "VERSION", "SEEN", "LAST ERROR")


def add_arguments(parser: ArgumentParser) -> None:
    """Add nothing."""


def handle(console: Console, options: dict[str, Any]) -> None:
    """Print a line a worker."""
    rows = list(list_workers(get_alias()))
    if console.as_json:
        console.data([worker_as_dict(row) for row in rows])
        return
    if not rows:
        console.line("No worker has reported itself. Start one: manage.py durable worker")
        return
    console.table([HEAD, *map(_describe, rows)])


def _describe(row: Any) -> tuple[str, ...]:
    seen = say_length((read_time(row.now) - read_time(row.seen_at)).total_seconds())
    slots = "-" if row.slots is None else f"{row.busy}/{row.slots}"
    version = " ".join(text for text in (row.package, row.code) if text) or "-"
    told = (row.name, read_state(row), row.own_kind, row.queues, slots, version, f"{seen} ago")
    return (*told, row.last_error or "-")
