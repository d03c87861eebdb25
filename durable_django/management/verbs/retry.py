"""``durable retry``: let failed or cancelled runs go on where they stopped; completed steps stay done."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from ...engine.operations import retry_run
from ..arguments import read_count
from ..console import Console
from ..operate import add_run_arguments, operate

HELP = "let failed or cancelled runs go on"


def add_arguments(parser: ArgumentParser) -> None:
    """Add the ids, the reason and the attempts."""
    add_run_arguments(parser)
    parser.add_argument(
        "--attempts",
        type=read_count,
        metavar="N",
        help="try what failed at most so often (as the code declares)",
    )


def handle(console: Console, options: dict[str, Any]) -> None:
    """Act on each run."""
    operate(console, options, retry_run, "Queued again", attempts=options["attempts"])
