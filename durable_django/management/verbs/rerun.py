"""``durable rerun``: start new runs with the workflows and events of old ones, or from one of their steps."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from ...engine.operations import StepRef, rerun
from ..console import Console
from ..operate import add_run_arguments, operate
from ..payload import parse_json, read_object

HELP = "start new runs with the events of old ones"


def add_arguments(parser: ArgumentParser) -> None:
    """Add the ids, the edited data, and the step with its edited input."""
    add_run_arguments(parser)
    parser.add_argument("--data", metavar="JSON", help="what the event holds instead, a JSON object")
    parser.add_argument("--from-step", metavar="STEP", help="copy what was completed before this step")
    parser.add_argument(
        "--index", type=int, default=0, metavar="N", help="of several steps with that id, which one (0)"
    )
    parser.add_argument(
        "--key", metavar="KEY", help="the new run's key instead of the old one's; empty for none"
    )
    parser.add_argument(
        "--unless-held", action="store_true", help="not while a run with that key has not ended"
    )
    parser.add_argument("--input", metavar="JSON", help="the arguments of that step instead, a JSON list")


def handle(console: Console, options: dict[str, Any]) -> None:
    """Act on each run."""
    more: dict[str, Any] = {}
    if options["data"] is not None:
        more["data"] = read_object(options["data"])
    if options["from_step"] is not None:
        more["from_step"] = StepRef(options["from_step"], options["index"])
    elif options["input"] is not None:
        raise CommandError("--input goes with --from-step.", returncode=2)
    if options["input"] is not None:
        more["step_input"] = parse_json(options["input"], "the input")
    if options["key"] is not None:
        more["key"] = options["key"]
    operate(console, options, rerun, "Started anew as", unless_held=options["unless_held"], **more)
