"""``durable pause``: hold the runs of a workflow; new ones are stored and queue up until it is resumed."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from ...engine.operations import pause_workflow
from ..console import Console
from ..pausing import act_on_workflow, add_workflow_arguments

HELP = "hold the runs of a workflow"


def add_arguments(parser: ArgumentParser) -> None:
    """Add the workflow, and what becomes of the runs that have begun."""
    add_workflow_arguments(parser)
    parser.add_argument(
        "--stop", action="store_true", help="hold also the runs that have begun, before their next step"
    )


def handle(console: Console, options: dict[str, Any]) -> None:
    """Pause it."""
    act_on_workflow(console, options, pause_workflow, running="stop" if options["stop"] else "finish")
