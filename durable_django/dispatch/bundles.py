"""The runs of one message, executed one after another; those that would wait go to other workers.

Note [What waits behind a long run is announced again]
    Nothing of a bundle is claimed before it begins, so a worker that dies leaves queued runs, which the tick
    finds. When one of its runs has taken PATIENCE_SECONDS, whatever has not begun is announced run by run, and
    any worker takes it: a bundle of short runs costs one message, one of long runs a quarter of a second.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Iterator
from uuid import UUID

from ..engine.nudge import Nudge, send_nudges
from .message import Message

PATIENCE_SECONDS = 0.25
LOOK_SECONDS = 0.05
IDLE_SECONDS = 60.0


class Bundle:
    """What is left of a message; each run is either begun here or handed on."""

    def __init__(self, message: Message) -> None:
        self._left = deque(message.run_ids)
        self._queue = message.queue
        self._began = 0.0

    def __iter__(self) -> Iterator[UUID]:
        """Yield the runs that are still left, one by one."""
        while self._left:
            self._began = time.monotonic()
            try:
                yield self._left.popleft()
            except IndexError:  # another thread has just handed it on
                return

    @property
    def until(self) -> float | None:
        """The instant, by the monotonic clock, at which what is left is to be handed on; None: nothing is left."""
        return self._began + PATIENCE_SECONDS if self._left else None

    def hand_on(self) -> None:
        """Announce what is left, if anything is, each run in a message of its own."""
        send_nudges([Nudge(run_id, "", self._queue) for run_id in self])


class Watcher:
    """Hands on what waits for too long, from a thread that lives while there are bundles."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._watched: list[Bundle] = []
        self._thread: threading.Thread | None = None

    def watch(self, bundle: Bundle) -> None:
        """Look after a bundle until nothing of it is left."""
        with self._changed:
            self._watched.append(bundle)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="durable-bundles", daemon=True)
                self._thread.start()
            elif len(self._watched) == 1:
                self._changed.notify()

    def _work(self) -> None:
        while (bundles := self._take()) is not None:
            time.sleep(LOOK_SECONDS)
            now = time.monotonic()
            for bundle in bundles:
                if bundle.until is not None and bundle.until <= now:
                    bundle.hand_on()
            with self._changed:
                self._watched.extend(bundle for bundle in bundles if bundle.until is not None)

    def _take(self) -> list[Bundle] | None:
        with self._changed:
            if not self._changed.wait_for(lambda: self._watched, IDLE_SECONDS):
                self._thread = None
                return None
            bundles, self._watched = self._watched, []
            return bundles


_watchers: dict[int, Watcher] = {}


def get_watcher() -> Watcher:
    """Return this process's watcher; a forked child has its own."""
    found = _watchers.get(os.getpid())
    return found if found is not None else _watchers.setdefault(os.getpid(), Watcher())
