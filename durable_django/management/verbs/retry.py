"""``durable retry``: let failed or cancelled runs go on where they stopped; completed steps stay done."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from ...engine.operations import retry_run
from ..console import Console
from ..operate import add_run_arguments, operate

HELP = "let failed or cancelled runs go on"


def add_arguments(parser: ArgumentParser) -> None:
    """Add the ids and the reason."""
    add_run_arguments(parser)


def handle(console: Console, options: dict[str, Any]) -> None:
    """Act on each run."""
    operate(console, options, retry_run, "Queued again")
