"""Real processes of a project, to be watched, stopped and killed by tests."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from tests.waiting import wait_until

ROOT = Path(__file__).resolve().parent.parent
TAIL = 4_000
SESSION_NAME = "durable-test-process"
"""What PostgreSQL is told that the sessions of these processes are called."""

Value = TypeVar("Value")


class Process:
    """A Python process in a process group of its own, whose output goes to a file."""

    def __init__(self, name: str, arguments: Sequence[str], env: Mapping[str, str], output: Path) -> None:
        self.name = name
        self.output = output
        with output.open("wb") as sink:
            self._popen = subprocess.Popen(
                [sys.executable, *arguments],
                env=dict(env),
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def returncode(self) -> int | None:
        """The exit code, negative if a signal ended it; None while it runs."""
        return self._popen.poll()

    @property
    def text(self) -> str:
        return self.output.read_text(errors="replace")

    def wait_for(self, text: str, timeout: float = 60.0) -> None:
        """Return once the process has printed ``text``; raise if it ends or ``timeout`` seconds pass."""
        self.wait_until(lambda: text in self.text, timeout, f"{text!r} in its output")

    def wait_until(self, condition: Callable[[], Value], timeout: float = 60.0, what: str = "") -> Value:
        """Return the first true value of ``condition``; raise with the process's last words if none comes."""

        def look() -> Value:
            ended = self.returncode is not None  # read first: what it did last must still count
            value = condition()
            if ended and not value:
                raise AssertionError(f"it ended with {self.returncode}")
            return value

        try:
            return wait_until(look, timeout, what)
        except (TimeoutError, AssertionError) as error:
            raise AssertionError(f"{self.name}: {error}; its output ends:\n{self.text[-TAIL:]}") from error

    def wait(self, timeout: float = 60.0) -> int:
        """Return the exit code once the process has ended by itself."""
        return self._popen.wait(timeout)

    def send(self, number: signal.Signals) -> None:
        """Send a signal to every process of the group."""
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            self._popen.poll()  # all of them have ended already, which is what most signals are for

    def kill(self) -> None:
        """End the whole group at once, as a crash does: nothing is cleaned up."""
        self.send(signal.SIGKILL)
        self._popen.wait(30)

    def stop(self, timeout: float = 60.0) -> int:
        """Ask the process to end, as a deploy does, and return its exit code; kill what does not go.

        Celery over Redis sometimes takes half a minute to leave: use ``kill`` if that does not matter.
        """
        self._popen.terminate()
        try:
            return self._popen.wait(timeout)
        except subprocess.TimeoutExpired as error:
            raise AssertionError(f"{self.name} ignored SIGTERM:\n{self.text[-TAIL:]}") from error
        finally:
            self.kill()
