"""``durable wake``: let runs go on now that sleep, wait for their next attempt or are to start later."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from ...engine.operations import wake_run
from ..console import Console
from ..operate import add_run_arguments, operate

HELP = "let runs that sleep or wait to retry go on"


def add_arguments(parser: ArgumentParser) -> None:
    """Add the ids and the reason."""
    add_run_arguments(parser)


def handle(console: Console, options: dict[str, Any]) -> None:
    """Act on each run."""
    operate(console, options, wake_run, "Woken")
