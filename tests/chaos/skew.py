"""A host whose clock is wrong: Python's time in this process is shifted, the database's is not."""

from __future__ import annotations

import time


def install(seconds: float) -> None:
    """Shift what ``time.time`` and ``time.time_ns`` say from now on."""
    read, read_ns = time.time, time.time_ns
    time.time = lambda: read() + seconds
    time.time_ns = lambda: read_ns() + int(seconds * 1e9)
