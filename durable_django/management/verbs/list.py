"""``durable list``: the newest runs, filtered."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from ...clock import read_now, read_time
from ...define.registry import registry
from ...engine.alias import get_alias
from ...engine.words import say_due, say_instant, say_length
from ...models import Run, RunStatus
from ...models.run import RunQuerySet
from ..arguments import begin_of, read_count, read_since
from ..console import Console
from ..rows import run_as_dict
from ..words import shorten

HELP = "list runs, newest first"
HEADINGS = ("ID", "WORKFLOW", "STATUS", "CREATED", "TOOK", "NOTE")


def add_arguments(parser: ArgumentParser) -> None:
    """Add the filters."""
    parser.add_argument(
        "--status", action="append", choices=RunStatus.values, help="of this status; may be repeated"
    )
    parser.add_argument("--workflow", help="of this workflow")
    parser.add_argument("--limit", type=read_count, default=50, metavar="N", help="at most so many (50)")
    parser.add_argument(
        "--since", type=read_since, metavar="AGE", help="created in the last 2h, or since an instant"
    )


def handle(console: Console, options: dict[str, Any]) -> None:
    """Print the runs."""
    using = get_alias()
    runs = list(_filter(using, options)[: options["limit"]])
    if not runs and options["workflow"]:
        registry.get(options["workflow"])  # refuses a mistyped id, which would look like "none yet"
    if console.as_json:
        console.data([run_as_dict(run) for run in runs])
        return
    if not runs:
        console.line("No run matches.")
        return
    now = read_now(using)
    console.table([HEADINGS, *(_describe(run, now) for run in runs)])


def _filter(using: str, options: dict[str, Any]) -> RunQuerySet:
    runs = Run.objects.using(using).order_by("-id")
    if options["status"]:
        runs = runs.filter(status__in=options["status"])
    if options["workflow"]:
        runs = runs.filter(workflow=options["workflow"])
    if options["since"] is not None:
        runs = runs.filter(created_at__gte=begin_of(options["since"], read_now(using)))
    return runs


def _describe(run: Run, now: Any) -> tuple[str, ...]:
    took = ""
    if run.ended_at is not None:
        took = say_length((read_time(run.ended_at) - read_time(run.created_at)).total_seconds())
    note = f"{run.waits_for} until {say_due(run.wake_at, now)}" if run.waits_for else shorten(run.reason, 60)
    return (str(run.id), run.workflow, run.status, say_instant(run.created_at), took, note)
