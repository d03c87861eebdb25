"""``durable prune``: delete ended runs and used-up events that are older than the retention."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from ...conf import settings
from ...engine.alias import get_alias
from ...engine.prune import BATCH, Pruned, count_old, prune
from ..actor import write_audit
from ..arguments import read_count
from ..console import Console

HELP = "delete what is older than the retention"


def add_arguments(parser: ArgumentParser) -> None:
    """Add the age, the batch size and ``--dry-run``."""
    parser.add_argument(
        "--days", type=_read_days, metavar="N", help="keep so many days, instead of RETENTION_DAYS"
    )
    parser.add_argument(
        "--batch", type=read_count, default=BATCH, metavar="N", help=f"rows in a transaction ({BATCH})"
    )
    parser.add_argument("--dry-run", action="store_true", help="count what would go, and delete nothing")


def handle(console: Console, options: dict[str, Any]) -> None:
    """Prune and tell the progress."""
    using = get_alias()
    days = settings.RETENTION_DAYS if options["days"] is None else options["days"]
    age = timedelta(days=days)
    if options["dry_run"]:
        _report(console, count_old(using, age), days, dry_run=True)
        return
    total = Pruned()
    for part in prune(using, age, batch=options["batch"]):
        total += part
        if not console.as_json and options["verbosity"] > 0:
            console.line(f"  {total.runs} runs, {total.events} events ...")
    if total != Pruned():
        write_audit(
            using, "prune", result=f"older than {days:g} days: {total.runs} runs, {total.events} events"
        )
    _report(console, total, days, dry_run=False)


def _report(console: Console, total: Pruned, days: float, *, dry_run: bool) -> None:
    if console.as_json:
        counts = asdict(total)
        if dry_run:
            counts = {name: counts[name] for name in ("runs", "events")}
        console.data({"days": days, "dry_run": dry_run, **counts})
        return
    what = f"{total.runs} ended runs and {total.events} events without runs, older than {days:g} days"
    if dry_run:
        console.line(f"Would delete {what}.")
        return
    children = f"{total.steps} steps, {total.attempts} failed attempts, {total.waits} waits"
    console.line(f"Deleted {what}; with the runs {children}.")
    if total.deliveries or total.schedules or total.bulk:
        console.line(
            f"Deleted {total.deliveries} webhook deliveries, {total.schedules} schedules that no code declares, "
            f"{total.bulk} bulk operations."
        )


def _read_days(text: str) -> float:
    try:
        days = float(text)
    except ValueError as error:
        raise ArgumentTypeError(f"{text!r} is not a number of days") from error
    if not 0 <= days <= 36_500:
        raise ArgumentTypeError(f"{text} is not between 0 and 36,500")
    return days
