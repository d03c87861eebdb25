"""``durable waits``: what runs wait for, the newest first."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from ...clock import Now, read_now
from ...engine.alias import get_alias
from ...engine.words import name_step, say_due
from ...models import Wait, WaitStatus
from ..arguments import read_count
from ..console import Console
from ..rows import find_run, wait_as_dict

HELP = "list what runs wait for"


def add_arguments(parser: ArgumentParser) -> None:
    """Add the filters."""
    parser.add_argument("--workflow", metavar="ID", help="of runs of this workflow")
    parser.add_argument("--run", metavar="ID", help="of this run")
    parser.add_argument("--event", metavar="NAME", help="for events of this name")
    parser.add_argument("--signal", metavar="NAME", help="for this signal")
    parser.add_argument(
        "--overdue", action="store_true", help="whose time is up, but which no worker has ended"
    )
    parser.add_argument("--limit", type=read_count, default=50, metavar="N", help="at most so many (50)")


def handle(console: Console, options: dict[str, Any]) -> None:
    """Print a line a wait."""
    using = get_alias()
    waits = list(_find(using, options)[: options["limit"]])
    if console.as_json:
        console.data([{"run": str(w.run_id), "workflow": w.run.workflow, **wait_as_dict(w)} for w in waits])
        return
    if not waits:
        console.line("Nothing is waiting." if not _is_filtered(options) else "No wait matches.")
        return
    now = read_now(using)
    rows = (
        (
            str(each.pk),
            each.run.workflow,
            str(each.run_id),
            name_step(each.name, each.index),
            each.event_name or each.signal or "another run",
            say_due(each.expires_at, now),
        )
        for each in waits
    )
    console.table([("ID", "WORKFLOW", "RUN", "STEP", "WAITS FOR", "UNTIL"), *rows])


def _find(using: str, options: dict[str, Any]) -> Any:
    rows = Wait.objects.using(using).filter(status=WaitStatus.OPEN).exclude(kind="cancel")
    for option, column in (("workflow", "run__workflow"), ("event", "event_name"), ("signal", "signal")):
        if options[option] is not None:
            rows = rows.filter(**{column: options[option]})
    if options["run"] is not None:
        rows = rows.filter(run_id=find_run(using, options["run"]).pk)
    if options["overdue"]:
        rows = rows.filter(expires_at__lte=Now())
    return rows.select_related("run").order_by("-id")


def _is_filtered(options: dict[str, Any]) -> bool:
    return any(options[name] for name in ("workflow", "run", "event", "signal", "overdue"))
