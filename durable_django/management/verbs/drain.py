"""``durable drain``: let workers finish what they have and take nothing new, or take runs again."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from ...engine.alias import get_alias
from ...engine.operations import drain_worker, undrain_worker
from ..actor import get_actor
from ..console import Console
from ..operate import add_reason
from ..rehearse import add_dry_run, carry_out

HELP = "let a worker take nothing new"


def add_arguments(parser: ArgumentParser) -> None:
    """Add the name, the way back and the reason."""
    parser.add_argument("worker", help="its name; `durable workers` lists them")
    parser.add_argument("--undo", action="store_true", help="let it take runs again")
    add_reason(parser)
    add_dry_run(parser)


def handle(console: Console, options: dict[str, Any]) -> None:
    """Ask it; it learns it within seconds."""
    using, name = get_alias(), options["worker"]
    operation = undrain_worker if options["undo"] else drain_worker

    def act() -> str:
        who = {"actor": get_actor(), "reason": options["reason"], "using": using}
        return "stopping" if operation(name, **who).is_stopping else "live"

    state = carry_out(using, act, dry_run=options["dry_run"])
    if console.as_json:
        console.data({"worker": name, "state": state, "dry_run": options["dry_run"]})
        return
    lead = "Nothing was done; it would: " if options["dry_run"] else ""
    what = "takes nothing new" if state == "stopping" else "takes runs again"
    console.line(f"{lead}{name} {what}, within 10 seconds.")
