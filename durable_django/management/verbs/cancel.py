"""``durable cancel``: cancel runs that have not ended; a running step may finish, nothing follows it."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.core.management.base import CommandError

from ...clock import read_now
from ...engine.alias import get_alias
from ...engine.cancel_matching import Cancellation, cancel_matching
from ...engine.operations import cancel_run
from ..actor import get_actor
from ..arguments import begin_of, read_since
from ..console import Console
from ..operate import add_run_arguments, operate

HELP = "cancel runs that have not ended"


def add_arguments(parser: ArgumentParser) -> None:
    """Add the ids, or a workflow with a range and a condition."""
    add_run_arguments(parser, needed=False)
    parser.add_argument("--children", action="store_true", help="with all that they have started")
    parser.add_argument("--workflow", metavar="ID", help="instead of runs: those of a workflow")
    parser.add_argument(
        "--since", type=read_since, metavar="AGE", help="of these, created since: 2h, or ISO 8601"
    )
    parser.add_argument("--until", type=read_since, metavar="AGE", help="of these, created before")
    parser.add_argument(
        "--if", dest="condition", metavar="CEL", help="of these, whose event meets a condition"
    )


def handle(console: Console, options: dict[str, Any]) -> None:
    """Act on each run."""
    chosen = [options[name] for name in ("since", "until", "condition")]
    if bool(options["runs"]) == bool(options["workflow"]):
        raise CommandError("give runs, or --workflow.", returncode=2)
    if options["runs"]:
        if any(each is not None for each in chosen):
            raise CommandError("--since, --until and --if go with --workflow.", returncode=2)
        operate(console, options, cancel_run, "Cancelled", children=options["children"])
        return
    if options["children"]:
        raise CommandError("--children goes with runs.", returncode=2)
    _report(console, list(_cancel_all(options)), dry_run=options["dry_run"])


def _cancel_all(options: dict[str, Any]) -> Iterator[Cancellation]:
    now = read_now(get_alias())
    since, until = _begin(options["since"], now), _begin(options["until"], now) or now
    after: UUID | None = None
    while True:
        made = cancel_matching(
            options["workflow"],
            actor=get_actor(),
            reason=options["reason"],
            started_after=since,
            started_before=until,
            if_exp=options["condition"],
            after=after,
            dry_run=options["dry_run"],
        )
        yield made
        after = made.next
        if after is None:
            return


def _begin(given: timedelta | datetime | None, now: datetime) -> datetime | None:
    return None if given is None else begin_of(given, now)


def _report(console: Console, parts: list[Cancellation], *, dry_run: bool) -> None:
    names = ("examined", "cancelled", "undecided")
    counts = {name: sum(getattr(part, name) for part in parts) for name in names}
    if console.as_json:
        console.data({"workflow": parts[0].workflow, "dry_run": dry_run, **counts})
        return
    console.line(
        f"{'Would cancel' if dry_run else 'Cancelled'} {counts['cancelled']} of {counts['examined']} live runs."
    )
    if counts["undecided"]:
        console.note(f"Of {counts['undecided']} the condition could not be decided; they go on.")
