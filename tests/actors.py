"""Two threads whose statements interleave as a schedule says: no sleeps, no luck."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from django.db import connections

PATIENCE = 60.0  # seconds; a schedule that cannot be kept fails


class Actor:
    """A thread with connections of its own that can be halted before some of its statements."""

    def __init__(self, alias: str) -> None:
        self._alias = alias
        self._pool = ThreadPoolExecutor(1)
        self._future: Future[Any]
        self._halted = threading.Event()
        self._go = threading.Event()

    def begin(self, work: Callable[[], Any], *halts: str) -> None:
        """Start the work; it halts before its first statement that contains the first text, and so on."""
        self._halted.clear()
        self._go.clear()
        self._future = self._pool.submit(self._run, work, list(halts))

    def wait_for_halt(self) -> None:
        """Return when the work has halted or ended."""
        assert self._halted.wait(PATIENCE), "neither halted nor ended"

    def go_on(self) -> None:
        """Let the work go on to its next halt."""
        self._halted.clear()
        self._go.set()

    def finish(self) -> Any:
        """Let the work go on, and return its result."""
        self._go.set()
        return self._future.result(PATIENCE)

    def close(self) -> None:
        self._pool.submit(connections.close_all).result(PATIENCE)
        self._pool.shutdown()

    def _run(self, work: Callable[[], Any], halts: list[str]) -> Any:
        def wrap(execute: Any, sql: str, *rest: Any) -> Any:
            if halts and halts[0] in sql:
                del halts[0]
                self._halted.set()
                assert self._go.wait(PATIENCE), "nobody let it go on"
                self._go.clear()
            return execute(sql, *rest)

        try:
            with connections[self._alias].execute_wrapper(wrap):
                return work()
        finally:
            self._halted.set()


@contextmanager
def two_actors(alias: str) -> Iterator[tuple[Actor, Actor]]:
    """Give two threads; their connections are closed at the end."""
    one, other = Actor(alias), Actor(alias)
    try:
        yield one, other
    finally:
        one.close()
        other.close()


def interleave(
    first: tuple[Actor, Callable[[], Any], str | None], second: tuple[Actor, Callable[[], Any], str | None]
) -> tuple[Any, Any]:
    """Run the first work up to its halt, then the second up to its own; end the first, then the second."""
    for actor, work, halt_before in (first, second):
        actor.begin(work, *([] if halt_before is None else [halt_before]))
        actor.wait_for_halt()
    return first[0].finish(), second[0].finish()
