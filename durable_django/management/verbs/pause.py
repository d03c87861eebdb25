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
        "--skip", action="store_true", help="cancel new runs instead of letting them queue up"
    )
    begun = parser.add_mutually_exclusive_group()
    begun.add_argument(
        "--stop", action="store_true", help="hold also the runs that have begun, before their next step"
    )
    begun.add_argument(
        "--cancel", action="store_true", help="cancel the runs that have begun, as a bulk operation"
    )


def handle(console: Console, options: dict[str, Any]) -> None:
    """Pause it."""
    act_on_workflow(
        console, options, pause_workflow, running=_choose(options), new="skip" if options["skip"] else "queue"
    )


def _choose(options: dict[str, Any]) -> str:
    return "cancel" if options["cancel"] else "stop" if options["stop"] else "finish"
