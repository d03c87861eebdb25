"""Worker processes as a work sees them: started, told to go, asked, stopped."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from benchmarks.setup import VARIABLE


class Worker:
    """One process of ``benchmarks.worker``, or of a peer's module that speaks its lines."""

    def __init__(
        self, told: dict[str, Any], module: str = "benchmarks.worker", python: str = sys.executable
    ) -> None:
        self._process = subprocess.Popen(
            [python, "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, VARIABLE: json.dumps(told)},
        )
        self.hear()

    @property
    def pid(self) -> int:
        """The id of the process."""
        return self._process.pid

    def say(self, word: str) -> None:
        """Send a word."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{word}\n")
        self._process.stdin.flush()

    def ask(self, word: str) -> dict[str, Any]:
        """Send a word and return the answer."""
        self.say(word)
        return self.hear()

    def hear(self) -> dict[str, Any]:
        """Return the next line of the process."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"a worker process ended with {self._process.wait()}")
        found: dict[str, Any] = json.loads(line)
        return found

    def stop(self) -> None:
        """Let the process end."""
        if self._process.poll() is None:
            self.ask("stop")
            self._process.wait(30)

    def kill(self) -> None:
        """End the process at once, without a last word."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait(30)


@contextmanager
def workers(told: dict[str, Any], count: int = 1, *, pinned: bool = False) -> Iterator[list[Worker]]:
    """Give started worker processes that have not begun to work, each on one CPU of its own if ``pinned``."""
    cpus = sorted(os.sched_getaffinity(0), reverse=True)
    with ExitStack() as stack:
        crew = []
        for number in range(count):
            worker = Worker({**told, "cpu": cpus[number % len(cpus)]} if pinned else told)
            stack.callback(worker.kill)
            crew.append(worker)
        yield crew
        for worker in crew:
            worker.stop()
