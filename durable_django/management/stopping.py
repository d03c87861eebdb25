"""SIGTERM and Ctrl-C as a request: the first one asks, the second one does not.

A handler runs between any two instructions of the main thread, also while that holds the lock of a
``threading.Event``; so it takes no lock, it writes into a pipe that the main thread reads.
"""

from __future__ import annotations

import os
import select
import signal
from types import FrameType, TracebackType
from typing import Any, Self

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class StopSignal:
    """Within the block, notes the first signal, and ends the process at the second.

    Use it on the main thread only; Python delivers signals there.

    Args:
        remark: said on the error stream at the first signal.
    """

    def __init__(self, remark: str = "") -> None:
        self._remark = remark
        self._asked = False
        self._reader, self._writer = -1, -1
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        self._reader, self._writer = os.pipe()
        self._before = {number: signal.signal(number, self._hear) for number in SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        os.close(self._reader)
        os.close(self._writer)

    def wait(self, seconds: float | None = None) -> bool:
        """Block until a signal came or ``seconds`` passed; tell whether one came."""
        readable, _, _ = select.select([self._reader], [], [], seconds)
        return bool(readable)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if self._asked:
            os._exit(128 + number)
        self._asked = True
        os.write(self._writer, b".")
        if self._remark:
            os.write(
                2, f"{self._remark}\n".encode()
            )  # not the stream: the signal may interrupt a write to it
