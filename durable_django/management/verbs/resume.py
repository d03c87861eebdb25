"""``durable resume``: let the runs of a paused workflow go on."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from ...engine.operations import resume_workflow
from ..console import Console
from ..pausing import act_on_workflow, add_workflow_arguments

HELP = "let the runs of a paused workflow go on"


def add_arguments(parser: ArgumentParser) -> None:
    """Add the workflow."""
    add_workflow_arguments(parser)


def handle(console: Console, options: dict[str, Any]) -> None:
    """Resume it."""
    act_on_workflow(console, options, resume_workflow)
