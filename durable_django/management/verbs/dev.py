"""``durable dev``: web server and worker, restarted when a file is saved, with a line for each change."""

from __future__ import annotations

import time
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError
from django.db import DatabaseError, InterfaceError, connections

from ...engine.alias import get_alias
from ..console import Console
from ..health.store import probe_connection, probe_migrations
from ..live.lines import Printer
from ..live.sources import find_changed, take_snapshot
from ..live.station import Station, choose_address
from ..live.watcher import Watcher
from ..stopping import StopSignal

HELP = "web server and worker, restarted on save, live lines"
LOOK, SCAN = 0.2, 1.0
"""Seconds between two looks at the rows, and between two looks at the files."""


def add_arguments(parser: ArgumentParser) -> None:
    """Add the address."""
    parser.add_argument(
        "address", nargs="?", metavar="[host:]port", help="of the web server (first free from 8000)"
    )


def handle(console: Console, options: dict[str, Any]) -> None:
    """Serve, watch and restart until Ctrl-C."""
    using = get_alias()
    check_store(using)
    station = Station(choose_address(options["address"]), using)
    with StopSignal() as stop:
        station.start()
        try:
            console.line(
                f"Web server and worker at {station.url}; saving a file restarts them, Ctrl-C ends them."
            )
            _watch(console, using, station, stop)
        finally:
            station.stop()
    console.line("Stopped.")


def check_store(using: str) -> None:
    """Refuse to start on a database that is not ready.

    Raises:
        CommandError: It cannot be reached or is not migrated; says what to do.
    """
    for probe in (probe_connection, probe_migrations):
        for finding in probe(using):
            if finding.level == "fail":
                raise CommandError(f"{finding.name}: {finding.text}. {finding.remedy}")


def _watch(console: Console, using: str, station: Station, stop: StopSignal) -> None:
    watcher = Watcher(using)
    printer = Printer(console, watcher.since)
    files, scanned, gone = take_snapshot(), time.monotonic(), False
    while not stop.wait(LOOK):
        _look(console, using, watcher, printer)
        if station.exit_code is not None and not gone:
            gone = True
            console.note(
                f"The server ended with code {station.exit_code}; it starts again when a file is saved."
            )
        if time.monotonic() - scanned < SCAN:
            continue
        now, scanned = take_snapshot(), time.monotonic()
        if changed := find_changed(files, now):
            files, gone = now, False
            _restart(console, station, changed)


def _look(console: Console, using: str, watcher: Watcher, printer: Printer) -> None:
    try:
        printer.show(watcher.look(), watcher.now)
    except (DatabaseError, InterfaceError) as error:
        console.note(f"The database could not be read: {str(error).strip()}")
        connections[using].close()


def _restart(console: Console, station: Station, changed: Sequence[Path]) -> None:
    more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
    console.line(console.paint("dim", f"{changed[0].name}{more} changed; restarting."))
    station.stop()
    station.start()
