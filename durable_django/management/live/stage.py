"""The demo's stage: the server, the lines on the screen and the stop signal together."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from django.core.management.base import CommandError

from ...engine.alias import get_alias
from ..console import Console
from ..stopping import StopSignal
from .lines import Printer
from .play import Play
from .station import Station
from .watcher import Watcher

LOOK = 0.1
START_SECONDS = 30.0
LOG_LINES = 40


class Stage:
    """Opens the server and shows what happens on it.

    Args:
        log: the file to which the server writes.
    """

    def __init__(self, console: Console, station: Station, stop: StopSignal, log: Path) -> None:
        self._console = console
        self._station = station
        self._stop = stop
        self._log = log
        self.watcher = Watcher(get_alias())
        self._printer = Printer(console, self.watcher.since)

    def open(self) -> bool:
        """Start the server and wait until it answers; return False if Ctrl-C came first."""
        self._station.start()
        deadline = time.monotonic() + START_SECONDS
        while not self._station.answers():
            self._check_alive()
            if time.monotonic() > deadline:
                raise CommandError(
                    f"The web server did not answer within {START_SECONDS:g} s.\n{self._tail()}"
                )
            if self._stop.wait(LOOK):
                return False
        self._console.line(f"Server    {self._station.url}, with a worker")
        self._console.line(f"Log       {self._log} (web server, worker, mails)\n")
        return True

    def watch(self, plays: Sequence[Play] | None) -> bool:
        """Show what happens until every play is over, or for ever; return False if Ctrl-C came."""
        while plays is None or any(play.verdict is None for play in plays):
            self._printer.show(self.watcher.look(), self.watcher.now)
            for play in plays or ():
                if answer := play.go_on(self.watcher.now):
                    self._console.line(self._console.paint("bold", f"{'':10}{answer}"))
            self._check_alive()
            if self._stop.wait(LOOK):
                return False
        self._printer.show(self.watcher.look(), self.watcher.now)
        return True

    def _check_alive(self) -> None:
        if self._station.exit_code is not None:
            raise CommandError(f"The server ended with code {self._station.exit_code}.\n{self._tail()}")

    def _tail(self) -> str:
        lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(lines[-LOG_LINES:])
