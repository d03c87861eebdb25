"""What a worker's main process shares with the children that it forks: two flags down, two pipes up.

Note [Only a forked child shares]
    Both are made when this module is imported in the main process, before the first fork. In a child that
    was spawned instead they lead nowhere, which costs latency: it hears of no stop, and its naps end with
    the tick. Nor does it hear that its worker is drained.
"""

from __future__ import annotations

import mmap
import os
import struct
import time

_WHEN = struct.Struct("d")
_MANY = 1 << 16
"""Bytes that a pipe holds at most, on Linux."""


class Kinship:
    """The flags say that the worker stops or is drained; the pipes carry when parked runs are due, and faults."""

    def __init__(self) -> None:
        self._flag = mmap.mmap(-1, 2)
        self.main = os.getpid()
        self._out, self._in = os.pipe()
        self._faults_out, self._faults_in = os.pipe()
        for end in (self._in, self._faults_in, self._faults_out):
            os.set_blocking(end, False)

    @property
    def stopping(self) -> bool:
        """Whether the worker stops."""
        return self._flag[0] == 1

    @stopping.setter
    def stopping(self, value: bool) -> None:
        self._flag[0] = int(value)

    @property
    def draining(self) -> bool:
        """Whether the worker takes nothing new."""
        return self._flag[1] == 1

    @draining.setter
    def draining(self, value: bool) -> None:
        self._flag[1] = int(value)

    def tell_due(self, seconds: float) -> None:
        """Say that a run is due in so many seconds; lost if nobody has read for a long time."""
        try:
            # The monotonic clock is the host's, so the reader's is the same.
            os.write(self._in, _WHEN.pack(time.monotonic() + seconds))
        except BlockingIOError:
            return

    def tell_fault(self, text: str) -> None:
        """Say what went wrong in this child; lost if nobody has read for a long time."""
        try:
            os.write(self._faults_in, f"{text}\n".encode())  # so short that it is written whole
        except BlockingIOError:
            return

    def read_fault(self) -> str:
        """Return the last fault that a child told of since the last call, empty without one."""
        try:
            told = os.read(self._faults_out, _MANY)
        except BlockingIOError:
            return ""
        return told.decode(errors="replace").rstrip("\n").rpartition("\n")[2]

    def read_due(self) -> float:
        """Wait for the next such word and return the seconds that are left."""
        when: float = _WHEN.unpack(os.read(self._out, _WHEN.size))[0]
        return when - time.monotonic()


kinship = Kinship()
