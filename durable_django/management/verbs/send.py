"""``durable send``: send one event, a few in one transaction, or a long file in batches."""

from __future__ import annotations

import difflib
from argparse import ArgumentParser
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any, Final

from django.core.management.base import CommandError
from django.db import transaction

from ...conf import settings
from ...define.registry import registry
from ...engine.alias import get_alias
from ...engine.receive import send_events
from ...models import Run
from ..actor import write_audit
from ..console import Console
from ..event_lines import Given, iterate_events
from ..forecast import tell_forecast
from ..payload import read_object
from ..rehearse import add_dry_run
from ..send_lines import check_lines, send_lines

HELP = "send an event, or a file of them"
FEW: Final = 1_000
"""Events that go in one transaction, each with a line of output."""


def add_arguments(parser: ArgumentParser) -> None:
    """Add the name, the data and the file."""
    parser.add_argument("name", nargs="?", help="the event's name, or - to read events from standard input")
    parser.add_argument("payload", nargs="?", metavar="data", help="its data, a JSON object")
    parser.add_argument("--file", metavar="PATH", help="read events from a file: JSON, or one a line")
    parser.add_argument("--id", help="the sender's id: it starts each workflow once in IDEMPOTENCY_HOURS")
    parser.add_argument("--ts", type=int, metavar="MS", help="its time, in milliseconds since 1970")
    parser.add_argument(
        "--from-line", type=int, default=1, metavar="N", help="leave out what is before line N"
    )
    parser.add_argument(
        "--skip-sent", action="store_true", help="leave out events whose id is stored already"
    )
    add_dry_run(parser)


def handle(console: Console, options: dict[str, Any]) -> None:
    """Send the events and say what they started."""
    source = _find_source(options)
    if source is not None and options["dry_run"]:
        raise CommandError("--dry-run goes with the name of one event.", returncode=2)
    if source is None:
        event = {"name": options["name"], "data": read_object(options["payload"]), **_extras(options)}
        if options["dry_run"]:
            tell_forecast(console, event)
            return
        _send_few(console, [event])
        return
    given = _skip(iterate_events(source), options["from_line"])
    first = list(islice(given, FEW + 1))
    if len(first) <= FEW and not options["skip_sent"]:
        _send_few(console, [each.event for each in first])
        return
    if source != "-":
        check_lines(console, _skip(iterate_events(source), options["from_line"]))
    _send_many(console, chain(first, given), skip_sent=options["skip_sent"])


def _send_few(console: Console, events: list[dict[str, Any]]) -> None:
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


def _send_many(console: Console, given: Iterator[Given], *, skip_sent: bool) -> None:
    using = get_alias()
    write_audit(using, "send", result="events of a file, in batches")
    done = send_lines(using, console, given, skip_sent=skip_sent)
    if console.as_json:
        last = done.last.number if done.last else None
        console.data({"events": done.sent, "skipped": done.skipped, "last": last, "seconds": done.seconds})
    else:
        console.line(done.say())


def _find_source(options: dict[str, Any]) -> str | None:
    name, source = options["name"], options["file"]
    if source is None and name is None:
        raise CommandError("give the event's name, - for standard input, or --file.", returncode=2)
    if source is not None and name is not None:
        raise CommandError("give a name or --file, not both.", returncode=2)
    if source is None and name != "-":
        return None
    if options["payload"] is not None or _extras(options):
        raise CommandError("data, --id and --ts go with a name; a file has them in its events.", returncode=2)
    return source or "-"


def _skip(given: Iterator[Given], begin: int) -> Iterator[Given]:
    return (each for each in given if each.number >= begin)


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
