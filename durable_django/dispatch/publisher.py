"""One thread a process that talks to the broker, so that no caller waits longer than it chose to.

Note [Nobody waits for a dead broker twice]
    Socket time-outs add up, name lookups have none, and the project's settings are not ours. So the caller
    hands its messages to a thread and waits for a bounded time. The first failure closes the circuit for
    BREAK_SECONDS; whoever comes meanwhile is refused at once, and whoever comes first thereafter hands its
    messages over without waiting. The tick sends again what was lost.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from ..exceptions import NudgeLost
from .message import Message

logger = logging.getLogger("durable_django.dispatch")

BREAK_SECONDS = 5.0
LONGEST_QUEUE = 1_000
"""Batches that may wait for the thread."""
IDLE_SECONDS = 60.0


class Line(Protocol):
    """A connection to a broker."""

    def send(self, message: Message) -> None: ...

    def close(self) -> None: ...


class Parcel:
    """A batch of messages on its way, for ``runs`` runs."""

    def __init__(self, messages: Sequence[Message]) -> None:
        self.messages = deque(messages)
        self.runs = sum(len(message.run_ids) for message in messages)
        self.error: Exception | None = None
        self.done = threading.Event()

    def settle(self, error: Exception | None = None) -> None:
        self.error = error
        self.done.set()


class Publisher:
    """Sends messages over one line from one thread, and refuses them at once while the broker is away."""

    def __init__(self, connect: Callable[[], Line]) -> None:
        self._connect = connect
        self._line: Line | None = None
        self._filled = threading.Condition()
        self._parcels: deque[Parcel] = deque()
        self._thread: threading.Thread | None = None
        self._failing = False
        self._open_at = 0.0
        self._moved_at = 0.0

    def publish(self, messages: Sequence[Message], *, timeout: float) -> None:
        """Send the messages; wait for it at most ``timeout`` seconds.

        Raises:
            NudgeLost: The broker does not take them.
        """
        parcel = Parcel(messages)
        if not self._accept(parcel):
            return
        if not parcel.done.wait(timeout) and not self._moves(timeout):
            self._break()
            raise NudgeLost(count=parcel.runs, reason=f"the broker is silent for {timeout:g} s")
        if parcel.error is not None:
            raise NudgeLost(count=parcel.runs, reason=str(parcel.error)) from parcel.error

    def close(self) -> None:
        """Hang up; the thread ends when it has been idle for a while."""
        self._hang_up()

    def _accept(self, parcel: Parcel) -> bool:
        """Put the parcel on the way and tell whether its sender should wait for it."""
        with self._filled:
            if time.monotonic() < self._open_at:
                raise NudgeLost(count=parcel.runs, reason="the broker failed a moment ago")
            if len(self._parcels) >= LONGEST_QUEUE:
                raise NudgeLost(count=parcel.runs, reason="too many messages wait for the broker")
            self._parcels.append(parcel)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="durable-publisher", daemon=True)
                self._thread.start()
            self._filled.notify()
            return not self._failing

    def _moves(self, within: float) -> bool:
        return time.monotonic() - self._moved_at < within / 2

    def _break(self) -> None:
        self._failing = True
        self._open_at = time.monotonic() + BREAK_SECONDS

    def _work(self) -> None:
        while (parcel := self._take()) is not None:
            self._deliver(parcel)

    def _take(self) -> Parcel | None:
        """Return the next parcel, or end the thread and its line if none comes for a while."""
        with self._filled:
            if self._parcels or self._filled.wait_for(lambda: self._parcels, IDLE_SECONDS):
                return self._parcels.popleft()
            self._thread, line, self._line = None, self._line, None
        _close(line)
        return None

    def _deliver(self, parcel: Parcel) -> None:
        try:
            self._send_twice(parcel)
        except Exception as error:  # noqa: BLE001  whatever a transport raises, it goes to the senders
            self._refuse(parcel, error)
            self._hang_up()
        else:
            parcel.settle()

    def _send_twice(self, parcel: Parcel) -> None:
        used = self._line is not None
        try:
            self._send(parcel)
        except Exception:
            if not used:
                raise
            # The broker may have closed a line that was idle; a new one tells.
            self._hang_up()
            self._send(parcel)

    def _send(self, parcel: Parcel) -> None:
        line = self._line = self._line or self._connect()
        while parcel.messages:
            line.send(parcel.messages[0])
            parcel.messages.popleft()
            self._moved_at = time.monotonic()
            self._failing = False

    def _refuse(self, parcel: Parcel, error: Exception) -> None:
        with self._filled:
            self._break()
            refused = [parcel, *self._parcels]
            self._parcels.clear()
        for each in refused:
            each.settle(error)

    def _hang_up(self) -> None:
        line, self._line = self._line, None
        _close(line)


def _close(line: Line | None) -> None:
    if line is None:
        return
    try:
        line.close()
    except Exception:
        logger.info("a broken connection to the broker could not be closed", exc_info=True)


_publishers: dict[int, Publisher] = {}


def get_publisher(connect: Callable[[], Line]) -> Publisher:
    """Return this process's publisher; a forked child has its own, made with ``connect``."""
    found = _publishers.get(os.getpid())
    return found if found is not None else _publishers.setdefault(os.getpid(), Publisher(connect))


def close_publisher() -> None:
    """Close this process's line to the broker; the next nudge opens another."""
    found = _publishers.pop(os.getpid(), None)
    if found is not None:
        found.close()
