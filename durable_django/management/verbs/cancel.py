"""``durable cancel``: cancel runs that have not ended; a running step may finish, nothing follows it."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from ...engine.operations import cancel_run
from ..console import Console
from ..operate import add_run_arguments, operate

HELP = "cancel runs that have not ended"


def add_arguments(parser: ArgumentParser) -> None:
    """Add the ids and the reason."""
    add_run_arguments(parser)


def handle(console: Console, options: dict[str, Any]) -> None:
    """Act on each run."""
    operate(console, options, cancel_run, "Cancelled")
