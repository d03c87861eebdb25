"""``durable tick``: one sweep, for cron lines and for looking at what is due."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from ...engine.alias import get_alias
from ...engine.bulk_work import share_bulk
from ...engine.sweep import Swept
from ...engine.tick import tick
from ..console import Console

HELP = "do once what is due: timers, retries, take-overs"
WORDS = {
    "requeued": "announced again",
    "taken_over": "taken over from dead workers",
    "routed": "events routed",
    "fired": "cron times fired",
    "timed_out": "timed out",
    "bulk": "rows of bulk operations",
}
BULK_SECONDS = 30.0
"""How long one call may work on bulk operations; the next one goes on."""


def add_arguments(parser: ArgumentParser) -> None:
    """It takes the common options only."""


def handle(console: Console, options: dict[str, Any]) -> None:
    """Sweep once and say what was done."""
    swept = tick(get_alias(), period=0.0, force=True) or Swept()
    counts = {**swept.counts, "bulk": share_bulk(get_alias(), BULK_SECONDS)}
    if console.as_json:
        console.data(counts)
        return
    console.line(
        "Swept: " + ", ".join(f"{count} {WORDS.get(name, name)}" for name, count in counts.items()) + "."
    )
