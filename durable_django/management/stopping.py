"""SIGTERM and Ctrl-C as a request: the first one asks, the second one does not.

A handler runs between any two instructions of the main thread, also while that holds the lock of a
``threading.Event``; so it takes no lock, and the main thread waits for a pipe that the signal is written into.

Note [Any thread may get the signal]
    The system gives it to the main thread if that is free to take it, which it is not just after a pause
    (SIGSTOP, SIGCONT). Then nothing interrupts what the main thread waits for, and the handler does not run. So Python
    itself writes into the pipe, from whichever thread the signal has met.
"""

from __future__ import annotations

import os
import select
import signal
import time
from types import FrameType, TracebackType
from typing import Any, Self

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class StopSignal:
    """Within the block, notes the first signal, and ends the process at the second.

    Use it on the main thread only; Python delivers signals there.
    """

    def __init__(self) -> None:
        self._asked = False
        self._reader, self._writer, self._other = -1, -1, -1
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        self._reader, self._writer = os.pipe()
        for end in (self._reader, self._writer):
            os.set_blocking(end, False)
        self._other = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        self._before = {number: signal.signal(number, self._hear) for number in SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._other)
        os.close(self._reader)
        os.close(self._writer)

    def wait(self, seconds: float | None = None) -> bool:
        """Block until a signal came or ``seconds`` passed; tell whether one came."""
        until = None if seconds is None else time.monotonic() + seconds
        while not self._asked:
            left = None if until is None else max(until - time.monotonic(), 0.0)
            readable, _, _ = select.select([self._reader], [], [], left)
            if not readable:
                break
            os.read(self._reader, 4096)  # the handler has run, or it was another signal's
        return self._asked

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if self._asked:
            os._exit(128 + number)
        self._asked = True
