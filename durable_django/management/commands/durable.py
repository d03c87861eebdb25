"""``manage.py durable <verb>``: the table of verbs, and what all of them have in common."""

from __future__ import annotations

import argparse
from typing import Any, Final, Protocol

from django.core.management.base import BaseCommand, CommandParser, DjangoHelpFormatter

from ..console import Console
from ..database import using_database
from ..errors import saying_what_failed
from ..verbs import (
    bulk,
    cancel,
    check_data,
    demo,
    dev,
    doctor,
    drain,
    event,
    groups,
    keys,
    pause,
    prune,
    rerun,
    resolve,
    resume,
    retry,
    send,
    serve,
    show,
    supply,
    tick,
    trigger,
    waits,
    wake,
    worker,
    workers,
    workflows,
)
from ..verbs import list as list_runs


class Verb(Protocol):
    """What a module of a verb has."""

    HELP: str

    def add_arguments(self, parser: argparse.ArgumentParser) -> None: ...

    def handle(self, console: Console, options: dict[str, Any]) -> None: ...


VERBS: Final[dict[str, Verb]] = {
    "demo": demo,
    "dev": dev,
    "worker": worker,
    "tick": tick,
    "send": send,
    "trigger": trigger,
    "list": list_runs,
    "show": show,
    "event": event,
    "cancel": cancel,
    "retry": retry,
    "rerun": rerun,
    "wake": wake,
    "supply": supply,
    "waits": waits,
    "resolve": resolve,
    "workflows": workflows,
    "pause": pause,
    "resume": resume,
    "workers": workers,
    "drain": drain,
    "bulk": bulk,
    "prune": prune,
    "doctor": doctor,
    "check_data": check_data,
    "keys": keys,
    "groups": groups,
    "serve": serve,
}
LIVE: Final = {"demo", "dev", "worker", "serve"}  # print no data, so they have no --json
EXIT_CODES: Final = (
    "Exit codes: 0 done, 1 failed or refused, 2 wrong usage, 130 ended by Ctrl-C while waiting."
)


class Command(BaseCommand):
    """Parses the verb and hands over to its module."""

    help = "Durable workflows: run, watch, operate and check them. `durable <verb> --help` tells more."

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        """Return the parser, with the exit codes below its help."""
        return super().create_parser(prog_name, subcommand, epilog=EXIT_CODES, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        """Add a sub-parser for each verb."""
        verbs = parser.add_subparsers(title="verbs", dest="verb", metavar="verb", required=True)
        for name, verb in VERBS.items():
            listed: dict[str, Any] = {"help": verb.HELP} if verb.HELP else {}  # without help it is not listed
            sub = verbs.add_parser(
                name,
                description=_describe(verb),
                epilog=EXIT_CODES,
                formatter_class=DjangoHelpFormatter,
                **listed,
            )
            verb.add_arguments(sub)
            _add_common(sub, as_json=name not in LIVE)

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the verb."""
        console = Console(
            self.stdout, self.stderr, as_json=options.get("json", False), colour=not options["no_color"]
        )
        with saying_what_failed(), using_database(options.get("database")):
            VERBS[options["verb"]].handle(console, options)


def _describe(verb: Verb) -> str:
    text = (verb.__doc__ or "").partition(": ")[2]
    return text[:1].upper() + text[1:]


def _add_common(parser: argparse.ArgumentParser, *, as_json: bool) -> None:
    if as_json:
        parser.add_argument("--json", action="store_true", help="print one JSON document instead of lines")
    parser.add_argument(
        "--database", metavar="ALIAS", help="alias of the durable tables, instead of the setting DATABASE"
    )
    # Django's own options may stand behind the verb too; given before it, they must not be reset here.
    for names, more in _BASE:
        parser.add_argument(*names, default=argparse.SUPPRESS, help=argparse.SUPPRESS, **more)


_BASE: Final[tuple[tuple[tuple[str, ...], dict[str, Any]], ...]] = (
    (("-v", "--verbosity"), {"type": int, "choices": [0, 1, 2, 3]}),
    (("--settings",), {}),
    (("--pythonpath",), {}),
    (("--traceback",), {"action": "store_true"}),
    (("--no-color",), {"action": "store_true"}),
    (("--force-color",), {"action": "store_true"}),
    (("--skip-checks",), {"action": "store_true"}),
)
