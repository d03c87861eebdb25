"""``durable bulk``: act on all runs or waits that a filter matches, and watch, stop and continue that."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable
from typing import Any, Final

from django.core.management.base import CommandError

from ...clock import read_now
from ...engine.alias import get_alias
from ...engine.bulk import Preview, continue_bulk, find_bulk, preview_bulk, start_bulk, stop_bulk
from ...engine.bulk_actions import ACTIONS, find_action
from ...engine.bulk_filter import RUN_FIELDS, TIMES, WAIT_FIELDS
from ...engine.bulk_show import bulk_as_dict
from ...models import BulkOperation
from ..actor import get_actor
from ..arguments import begin_of, read_count, read_since
from ..console import Console

HELP = "act on all runs or waits that a filter matches"
FIELDS: Final = {**RUN_FIELDS, **WAIT_FIELDS}
LISTS: Final = ("status", "origin", "ids")
FLAGS: Final = ("top_level", "children", "begun", "fresh")
HEADINGS: Final = ("ID", "ACTION", "STATE", "MATCHED", "DONE", "LEFT ALONE", "FAILED", "BY", "FILTER")


def add_arguments(parser: ArgumentParser) -> None:
    """Add what is done, to which rows, and what it is given."""
    parser.add_argument("do", choices=[*ACTIONS, *_CONTROLS], help="an action on rows, or on an operation")
    parser.add_argument("id", nargs="?", type=read_count, help="of an operation, for show, stop and continue")
    parser.add_argument(
        "--where",
        action="append",
        type=_read_pair,
        default=[],
        metavar="NAME=VALUE",
        help=f"rows with this; may be repeated: {', '.join(FIELDS)}",
    )
    parser.add_argument("--value", metavar="JSON", help="what a wait that is resolved returns")
    parser.add_argument("--children", action="store_true", help="cancel also what the runs have started")
    parser.add_argument("--reason", default="", help="why; kept in the operator log")
    parser.add_argument("--limit", type=read_count, default=20, metavar="N", help="list at most so many (20)")
    parser.add_argument("--dry-run", action="store_true", help="count what matches now, and start nothing")


def handle(console: Console, options: dict[str, Any]) -> None:
    """Do it."""
    control = _CONTROLS.get(options["do"])
    if control is None:
        _start(console, options)
        return
    if (options["id"] is None) is not (options["do"] == "list"):
        raise CommandError(
            "show, stop and continue take the id of an operation; list takes none.", returncode=2
        )
    control(console, options)


def _start(console: Console, options: dict[str, Any]) -> None:
    if options["id"] is not None:
        raise CommandError("An action takes --where, not the id of an operation.", returncode=2)
    using, name = get_alias(), options["do"]
    chosen = _read_filter(using, options["where"])
    seen = preview_bulk(name, chosen, using=using, samples=1)
    if options["dry_run"]:
        _tell_preview(console, name, seen)
        return
    arguments = _read_arguments(options)
    bulk = start_bulk(
        name,
        chosen,
        actor=get_actor(),
        reason=options["reason"],
        arguments=arguments,
        matched=seen,
        using=using,
    )
    if console.as_json:
        console.data(bulk_as_dict(bulk))
        return
    console.line(
        f"Started bulk operation {bulk.pk}: {name} {_count(seen)} {find_action(name).noun}s. "
        f"Workers carry it out; `durable bulk show {bulk.pk}` tells how far it is."
    )


def _read_filter(using: str, pairs: list[tuple[str, str]]) -> dict[str, Any]:
    chosen: dict[str, Any] = {}
    for name, text in pairs:
        if name in LISTS:
            chosen.setdefault(name, []).extend(text.split(","))
        elif name in TIMES:
            chosen[name] = begin_of(read_since(text), read_now(using))
        else:
            chosen[name] = True if text == "true" and name in FLAGS else text
    return chosen


def _read_arguments(options: dict[str, Any]) -> dict[str, Any]:
    from ..payload import read_value

    given = {} if options["value"] is None else {"value": read_value(options["value"])}
    return {**given, "children": True} if options["children"] else given


def _tell_preview(console: Console, name: str, seen: Preview) -> None:
    if console.as_json:
        console.data({"action": name, "matched": seen.matched, "exact": seen.exact, "dry_run": True})
        return
    console.line(f"Would {name} {_count(seen)} {find_action(name).noun}s.")


def _count(seen: Preview) -> str:
    if seen.matched is None:
        return "more than 10,000"
    return f"{'' if seen.exact else 'about '}{seen.matched:,}"


def _list(console: Console, options: dict[str, Any]) -> None:
    rows = list(BulkOperation.objects.using(get_alias()).order_by("-id")[: options["limit"]])
    if console.as_json:
        console.data([bulk_as_dict(row) for row in rows])
        return
    if not rows:
        console.line("No bulk operation yet.")
        return
    console.table([HEADINGS, *(_describe(row) for row in rows)])


def _describe(row: BulkOperation) -> tuple[str, ...]:
    matched = "?" if row.matched is None else f"{'' if row.matched_exactly else '~'}{row.matched}"
    numbers = (str(row.done), str(row.skipped), str(row.failed))
    chosen = " ".join(
        f"{name}={','.join(value) if isinstance(value, list) else value}"
        for name, value in row.filter.items()
    )
    return (str(row.pk), row.action, row.state, matched, *numbers, row.actor, chosen[:80])


def _show(console: Console, options: dict[str, Any]) -> None:
    _tell(console, find_bulk(get_alias(), options["id"]))


def _stop(console: Console, options: dict[str, Any]) -> None:
    _move(console, options, stop_bulk)


def _continue(console: Console, options: dict[str, Any]) -> None:
    _move(console, options, continue_bulk)


def _move(console: Console, options: dict[str, Any], move: Callable[..., BulkOperation]) -> None:
    if options["dry_run"]:
        _show(console, options)
        return
    _tell(console, move(options["id"], actor=get_actor(), reason=options["reason"], using=get_alias()))


def _tell(console: Console, bulk: BulkOperation) -> None:
    if console.as_json:
        console.data(bulk_as_dict(bulk))
        return
    matched = "an unknown number" if bulk.matched is None else f"{bulk.matched:,}"
    console.line(
        f"Bulk operation {bulk.pk} ({bulk.action}) is {bulk.state}: of {matched} {bulk.done:,} done, "
        f"{bulk.skipped:,} left alone, {bulk.failed:,} failed."
    )


def _read_pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or name not in FIELDS:
        raise ArgumentTypeError(f"{text!r} is not NAME=VALUE with a name of {', '.join(FIELDS)}")
    if name in TIMES:
        read_since(value)
    return name, value


_CONTROLS: Final[dict[str, Callable[[Console, dict[str, Any]], None]]] = {
    "list": _list,
    "show": _show,
    "stop": _stop,
    "continue": _continue,
}
