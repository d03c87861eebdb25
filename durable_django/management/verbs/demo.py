"""``durable demo``: everything at once on this machine, watched, answered and checked, then left open."""

from __future__ import annotations

import tempfile
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings as django_settings
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connections
from django.urls import NoReverseMatch, reverse

from ...engine.alias import get_alias
from ..console import Console
from ..errors import INTERRUPTED
from ..live.account import make_operator
from ..live.play import Play
from ..live.script import Script, load_script
from ..live.stage import Stage
from ..live.station import Station, choose_address
from ..stopping import StopSignal

HELP = "play the demo: runs shown live, results checked"


def add_arguments(parser: ArgumentParser) -> None:
    """Add the address and ``--exit``."""
    parser.add_argument(
        "address", nargs="?", metavar="[host:]port", help="of the web server (first free from 8000)"
    )
    parser.add_argument(
        "--exit", action="store_true", help="end after the runs: code 0 only if each had the expected result"
    )


def handle(console: Console, options: dict[str, Any]) -> None:
    """Play, and serve until Ctrl-C unless ``--exit`` is given."""
    if not django_settings.DEBUG:
        raise CommandError("The demo makes an account and orders, so it runs only with DEBUG on.")
    script = load_script()
    address = choose_address(options["address"])
    console.line(f"Database  {_prepare(script)}")
    account = "{}, password {}".format(*make_operator())
    console.line(f"Operator  {account}")
    with StopSignal() as stop, tempfile.NamedTemporaryFile(suffix=".log") as log:
        station = Station(address, get_alias(), log)
        stage = Stage(console, station, stop, Path(log.name))
        try:
            plays = _play(console, script, stage)
            if not options["exit"] and all(play.verdict is not None for play in plays):
                console.line(f"Admin     {station.url}{_admin_path()} as {account}")
                console.line("The server goes on, and so do these lines; Ctrl-C ends it.")
                stage.watch(None)
        finally:
            station.stop()
    _conclude(console, plays, strict=options["exit"])


def _prepare(script: Script) -> str:
    for alias in connections:
        call_command("migrate", verbosity=0, interactive=False, database=alias)
    script.prepare()
    given = connections[get_alias()].settings_dict
    return f"{given['NAME']} ({connections[get_alias()].display_name})"


def _play(console: Console, script: Script, stage: Stage) -> list[Play]:
    plays = [Play(demo, get_alias(), stage.watcher.since) for demo in script.RUNS]
    if not stage.open():
        return plays
    for play in plays:
        play.start()
    if stage.watch(plays):
        _print_results(console, plays)
    return plays


def _conclude(console: Console, plays: list[Play], *, strict: bool) -> None:
    if strict and any(play.verdict is None for play in plays):
        raise CommandError("The demo was stopped before its runs were over.", returncode=INTERRUPTED)
    wrong = [play for play in plays if play.verdict]
    if wrong:
        raise CommandError(f"{len(wrong)} of {len(plays)} runs did not have the expected result.")
    console.line("Done." if strict else "Stopped.")


def _print_results(console: Console, plays: list[Play]) -> None:
    console.line("\nResults")
    for play in plays:
        level = "fail" if play.verdict else "ok"
        end = f": {play.verdict}" if play.verdict else ""
        console.line(f"  {console.paint(level, f'{level:4}')}  {play.seconds:5.1f}s  {play.demo.title}{end}")
    console.line()


def _admin_path() -> str:
    try:
        return reverse("admin:index")
    except NoReverseMatch:
        return "/"
