"""``durable event``: what became of an event, and why not more."""

from __future__ import annotations

from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from ...engine.alias import get_alias
from ...engine.explain_event import EndedWait, Explanation, explain_stored, find_event
from ...engine.say_event import say_outcome, say_unmatched
from ...models import Event
from ..console import Console, to_json
from ..payload import open_stored
from ..rows import event_as_dict

HELP = "show an event: what it started, or why nothing"
LENGTH = 100
"""Characters of the payload without ``--full``."""


def add_arguments(parser: ArgumentParser) -> None:
    """Add the id and ``--full``."""
    parser.add_argument("event", help="the event's id")
    parser.add_argument("--full", action="store_true", help="show the payload uncut")


def handle(console: Console, options: dict[str, Any]) -> None:
    """Print the event."""
    event = find_event(get_alias(), options["event"])
    told = explain_stored(event)
    if console.as_json:
        console.data({**event_as_dict(event), **_as_dict(told)})
        return
    _show_header(console, event, full=options["full"])
    if said := say_outcome(told):
        console.line(said)
    _show_runs(console, told)
    _show_ended(console, "Resumed waits", told.resumed)
    _show_ended(console, "Cancelled runs", told.cancelled)
    _show_reasons(console, told)
    _show_unmatched(console, told)


def _as_dict(told: Explanation) -> dict[str, Any]:
    found = asdict(told)
    return {key: found[key] for key in found if key not in ("event_id", "name")}


def _show_header(console: Console, event: Event, *, full: bool) -> None:
    data = to_json(open_stored(event.data))
    console.line(f"{console.paint('bold', event.name)} {event.id}")
    console.line(f"  from      {event.source}" + (f", id {event.external_id}" if event.external_id else ""))
    console.line(f"  data      {data if full or len(data) <= LENGTH else data[: LENGTH - 3] + '...'}")


def _show_runs(console: Console, told: Explanation) -> None:
    if told.runs:
        console.line("\nStarted runs")
        console.table([("ID", "WORKFLOW", "STATUS"), *((str(r.id), r.workflow, r.status) for r in told.runs)])


def _show_ended(console: Console, title: str, waits: tuple[EndedWait, ...]) -> None:
    if waits:
        console.line(f"\n{title}")
        rows = ((str(each.run_id), each.workflow, each.step, each.condition or "any") for each in waits)
        console.table([("RUN", "WORKFLOW", "STEP", "CONDITION"), *rows])


def _show_reasons(console: Console, told: Explanation) -> None:
    if told.reasons:
        console.line("\nNot started")
    for each in told.reasons:
        console.line(f"  {each} [{each.code}]")


def _show_unmatched(console: Console, told: Explanation) -> None:
    if told.unmatched:
        console.line("\nOpen waits that it did not end")
    for each in told.unmatched:
        where = f"step {each.step!r}" if each.step else "cancel rule"
        console.line(f"  run {each.run_id}, {where}: {say_unmatched(each)}")
