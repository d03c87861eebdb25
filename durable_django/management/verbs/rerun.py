"""``durable rerun``: start new runs with the workflows and events of old ones."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from ...engine.operations import rerun
from ..console import Console
from ..operate import add_run_arguments, operate

HELP = "start new runs with the events of old ones"


def add_arguments(parser: ArgumentParser) -> None:
    """Add the ids and the reason."""
    add_run_arguments(parser)


def handle(console: Console, options: dict[str, Any]) -> None:
    """Act on each run."""
    operate(console, options, rerun, "Started anew as")
