"""``durable check_data``: prove by the stored data that nothing was lost, doubled or left half done."""

from __future__ import annotations

from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any, Final

from django.core.management.base import CommandError

from ...engine.alias import get_alias
from ...engine.invariants import (
    LATE_SECONDS,
    ROWS,
    STATEMENT_SECONDS,
    Violation,
    find_violations,
    list_invariants,
)
from ..arguments import read_count, read_seconds
from ..console import Console

HELP = "check every promise against the stored data"
UNCHECKED: Final = 2


def add_arguments(parser: ArgumentParser) -> None:
    """Add what to check, and how patiently."""
    parser.add_argument(
        "--only", default="", metavar="IDS", help="check these alone, as I3,I6 or I6-lost (all)"
    )
    parser.add_argument(
        "--quiescent", action="store_true", help="all work is done: check also what holds only then"
    )
    parser.add_argument(
        "--late",
        type=read_seconds,
        default=LATE_SECONDS,
        metavar="SECONDS",
        help=f"how long what is due may be on its way ({LATE_SECONDS:g})",
    )
    parser.add_argument(
        "--timeout",
        type=read_seconds,
        default=STATEMENT_SECONDS,
        metavar="SECONDS",
        help=f"the longest that one check may take ({STATEMENT_SECONDS:g})",
    )
    parser.add_argument(
        "--rows", type=read_count, default=ROWS, metavar="N", help=f"rows shown of each violation ({ROWS})"
    )
    parser.add_argument("--list", action="store_true", help="say what would be checked, and check nothing")


def handle(console: Console, options: dict[str, Any]) -> None:
    """Check and print; end with 1 if something is wrong, with 2 if something could not be checked."""
    using = get_alias()
    live = not options["quiescent"]
    only = [each.strip() for each in options["only"].split(",") if each.strip()]
    invariants = list_invariants(using, live=live, only=only)
    if options["list"]:
        _list(console, invariants)
        return
    found = find_violations(
        using, live=live, only=only, late=options["late"], rows=options["rows"], seconds=options["timeout"]
    )
    if console.as_json:
        console.data(
            {
                "ok": not found,
                "checked": [each.id for each in invariants],
                "violations": [*map(asdict, found)],
            }
        )
    else:
        _print(console, found, len(invariants))
    _end(found)


def _end(found: list[Violation]) -> None:
    unchecked = [each.id for each in found if each.unchecked]
    broken = [each.id for each in found if not each.unchecked]
    if unchecked:
        raise CommandError(f"Could not be checked: {', '.join(unchecked)}.", returncode=UNCHECKED)
    if broken:
        raise CommandError(f"The data breaks {', '.join(broken)}.")


def _print(console: Console, found: list[Violation], checked: int) -> None:
    for each in found:
        level = "warn" if each.severity == "warning" or each.unchecked else "fail"
        count = each.unchecked or f"{each.count} {'row' if each.count == 1 else 'rows'}"
        console.line(f"{console.paint(level, f'{level:4}')}  {each.id:14}  {each.title}: {count}")
        for row in each.rows:
            console.line(f"{'':22}{', '.join(f'{name}={value}' for name, value in row.items())}")
        if each.count > len(each.rows):
            console.line(f"{'':22}... and {each.count - len(each.rows)} more")
        console.line(f"{'':22}{each.remedy}")
    if not found:
        console.line(f"{checked} invariants hold.")


def _list(console: Console, invariants: Any) -> None:
    if console.as_json:
        console.data(
            [
                {"id": each.id, "title": each.title, "severity": each.severity, "live": each.live}
                for each in invariants
            ]
        )
        return
    for each in invariants:
        console.line(f"{each.id:14}  {each.severity:7}  never: {each.title}")
