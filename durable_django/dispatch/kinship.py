"""What a worker's main process shares with the children that it forks: a flag down, a pipe up.

Note [Only a forked child shares]
    Both are made when this module is imported in the main process, before the first fork. In a child that
    was spawned instead they lead nowhere, which costs latency: it hears of no stop, and its naps end with
    the tick.
"""

from __future__ import annotations

import mmap
import os
import struct
import time

_WHEN = struct.Struct("d")


class Kinship:
    """The flag says that the worker stops; the pipe carries the instants at which parked runs are due."""

    def __init__(self) -> None:
        self._flag = mmap.mmap(-1, 1)
        self._out, self._in = os.pipe()
        os.set_blocking(self._in, False)

    @property
    def stopping(self) -> bool:
        """Whether the worker stops."""
        return self._flag[0] == 1

    @stopping.setter
    def stopping(self, value: bool) -> None:
        self._flag[0] = int(value)

    def tell_due(self, seconds: float) -> None:
        """Say that a run is due in so many seconds; lost if nobody has read for a long time."""
        try:
            # The monotonic clock is the host's, so the reader's is the same.
            os.write(self._in, _WHEN.pack(time.monotonic() + seconds))
        except BlockingIOError:
            return

    def read_due(self) -> float:
        """Wait for the next such word and return the seconds that are left."""
        when: float = _WHEN.unpack(os.read(self._out, _WHEN.size))[0]
        return when - time.monotonic()


kinship = Kinship()
