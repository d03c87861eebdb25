"""``durable send``: send one event, or a file of events in one transaction."""

from __future__ import annotations

import difflib
from argparse import ArgumentParser
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from django.core.management.base import CommandError
from django.db import transaction

from ...conf import settings
from ...define.registry import registry
from ...engine.alias import get_alias
from ...engine.receive import send_events
from ...models import Run
from ..actor import write_audit
from ..console import Console
from ..payload import read_events, read_object

HELP = "send an event, or a file of them"


def add_arguments(parser: ArgumentParser) -> None:
    """Add the name, the data and the file."""
    parser.add_argument("name", nargs="?", help="the event's name, or - to read events from standard input")
    parser.add_argument("payload", nargs="?", metavar="data", help="its data, a JSON object")
    parser.add_argument("--file", metavar="PATH", help="read events from a file: JSON, or one a line")
    parser.add_argument("--id", help="the sender's id: it starts each workflow once in IDEMPOTENCY_HOURS")
    parser.add_argument("--ts", type=int, metavar="MS", help="its time, in milliseconds since 1970")


def handle(console: Console, options: dict[str, Any]) -> None:
    """Send the events and say what they started."""
    events = _collect(options)
    using = get_alias()
    with transaction.atomic(using=using):
        ids = [each for part in _split(events) for each in send_events(part)]
        write_audit(using, "send", result=_summarise(events, ids))
    runs = _find_runs(using, ids)
    if console.as_json:
        console.data([_as_dict(*pair, runs) for pair in zip(events, ids, strict=True)])
        return
    for event, event_id in zip(events, ids, strict=True):
        started = runs[event_id]
        console.line(f"Sent {event['name']} as {event_id}; {_say_started(started)}.")
        if not started and not registry.for_event(str(event["name"])):
            console.note(f"No workflow starts on {event['name']!r}.{_near(str(event['name']))}")


def _collect(options: dict[str, Any]) -> list[dict[str, Any]]:
    name, source = options["name"], options["file"]
    if source is None and name is None:
        raise CommandError("give the event's name, - for standard input, or --file.", returncode=2)
    if source is not None and name is not None:
        raise CommandError("give a name or --file, not both.", returncode=2)
    if source is None and name != "-":
        return [{"name": name, "data": read_object(options["payload"]), **_extras(options)}]
    if options["payload"] is not None or _extras(options):
        raise CommandError("data, --id and --ts go with a name; a file has them in its events.", returncode=2)
    return read_events(source or "-")


def _extras(options: dict[str, Any]) -> dict[str, Any]:
    return {field: options[field] for field in ("id", "ts") if options[field] is not None}


def _split(events: Sequence[dict[str, Any]]) -> list[Sequence[dict[str, Any]]]:
    size = settings.EVENTS_PER_REQUEST
    return [events[start : start + size] for start in range(0, len(events), size)]


def _find_runs(using: str, ids: list[str]) -> dict[str, list[tuple[str, str]]]:
    found: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
    for start in range(0, len(ids), 500):
        runs = Run.objects.using(using).filter(event_id__in=ids[start : start + 500]).order_by("id")
        for run_id, workflow, event_id in runs.values_list("id", "workflow", "event_id"):
            found[str(event_id)].append((str(run_id), workflow))
    return found


def _as_dict(event: Mapping[str, Any], id: str, runs: dict[str, list[tuple[str, str]]]) -> dict[str, Any]:
    started = [{"id": run, "workflow": workflow} for run, workflow in runs[id]]
    return {"id": id, "name": event["name"], "runs": started}


def _summarise(events: Sequence[Mapping[str, Any]], ids: list[str]) -> str:
    return f"{events[0]['name']} {ids[0]}" if len(events) == 1 else f"{len(events)} events"


def _say_started(runs: list[tuple[str, str]]) -> str:
    if not runs:
        return "it started no run"
    return "it started " + ", ".join(f"{workflow} {run_id}" for run_id, workflow in runs)


def _near(name: str) -> str:
    known = {trigger.event for workflow in registry for trigger in workflow.triggers}
    close = difflib.get_close_matches(name, known, n=1)
    return f" Did you mean {close[0]!r}?" if close else ""
