"""``durable supply``: give the result of a step that fails, so that its run goes on without it."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from ...engine.handle import RunHandle
from ...engine.operations import supply_step
from ..console import Console
from ..operate import add_reason, operate
from ..payload import read_value
from ..rehearse import add_dry_run

HELP = "give the result of a failing step"


def add_arguments(parser: ArgumentParser) -> None:
    """Add the run, the step and the value."""
    parser.add_argument("run", help="the run's id, or 6 or more characters of a recent one's")
    parser.add_argument("step", help="the id of the step")
    parser.add_argument("value", help="what the step returns, as JSON")
    parser.add_argument(
        "--index", type=int, default=0, metavar="N", help="of several steps with that id, which one (0)"
    )
    add_reason(parser)
    add_dry_run(parser)


def handle(console: Console, options: dict[str, Any]) -> None:
    """Store it."""
    value = read_value(options["value"])

    def supply(run_id: Any, **who: Any) -> RunHandle:
        return supply_step(run_id, options["step"], options["index"], value, **who)

    operate(console, {**options, "runs": [options["run"]]}, supply, f"Supplied {options['step']!r} of")
