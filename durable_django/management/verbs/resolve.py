"""``durable resolve``: end a wait with a value, let its time be up, or give it another end."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError
from datetime import UTC, datetime, timedelta
from typing import Any

from django.core.management.base import CommandError

from ...clock import read_now
from ...duration import parse_duration, parse_instant
from ...engine.alias import get_alias
from ...engine.operations import extend_wait, resolve_wait, time_out_wait
from ...exceptions import DurableError
from ...models import Wait
from ..actor import get_actor
from ..arguments import read_count
from ..console import Console
from ..operate import add_reason
from ..payload import read_value
from ..rehearse import add_dry_run, carry_out
from ..rows import wait_as_dict

HELP = "end a wait with a value, or by its time"


def add_arguments(parser: ArgumentParser) -> None:
    """Add the wait, and one of its ends."""
    parser.add_argument("wait", type=read_count, help="the wait's number; `durable waits` lists them")
    parser.add_argument("value", nargs="?", help="the data of the event or signal, as JSON")
    parser.add_argument("--time-out", action="store_true", help="instead: let its time be up now")
    parser.add_argument(
        "--until",
        type=_read_until,
        metavar="TIME",
        help="instead: let it last 2h from now, or until ISO 8601",
    )
    add_reason(parser)
    add_dry_run(parser)


def handle(console: Console, options: dict[str, Any]) -> None:
    """Do it, and print the wait as it is then."""
    if sum((options["value"] is not None, options["time_out"], options["until"] is not None)) != 1:
        raise CommandError("give a value, --time-out or --until.", returncode=2)
    value = None if options["value"] is None else read_value(options["value"])
    using = get_alias()

    def act() -> dict[str, Any]:
        who = {"actor": get_actor(), "reason": options["reason"], "using": using}
        if options["time_out"]:
            run = time_out_wait(options["wait"], **who)
        elif options["until"] is not None:
            run = extend_wait(options["wait"], _begin(options["until"], using), **who)
        else:
            run = resolve_wait(options["wait"], value, **who)
        wait = Wait.objects.using(using).get(id=options["wait"])
        return {"run": run.id, "run_status": run.status, **wait_as_dict(wait)}

    found = carry_out(using, act, dry_run=options["dry_run"])
    if console.as_json:
        console.data({**found, "dry_run": options["dry_run"]})
        return
    lead = "Nothing was done. It would be so: " if options["dry_run"] else ""
    until = f" until {found['until'].isoformat()}" if found["status"] == "open" else ""
    console.line(
        f"{lead}wait {options['wait']} of step {found['step']!r} is {found['status']}{until}; "
        f"run {found['run']} is {found['run_status']}."
    )


def _read_until(text: str) -> timedelta | datetime:
    try:
        return parse_duration(text)
    except DurableError:
        try:
            return parse_instant(text)
        except DurableError as error:
            raise ArgumentTypeError(error.message) from error


def _begin(until: timedelta | datetime, using: str) -> datetime:
    moment = read_now(using) + until if isinstance(until, timedelta) else until
    return moment.astimezone(UTC)
