"""What the machine is, what processes use of it, and how much of it others use meanwhile."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

TICK = os.sysconf("SC_CLK_TCK")
DISTURBED = 0.1
"""Of one core, used by others: from here on a figure is marked."""


def read_cpu(pid: int) -> float:
    """Return the CPU seconds that a process has used, or 0 if it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return (int(fields[11]) + int(fields[12])) / TICK


def read_memory(pid: int) -> int:
    """Return the resident bytes of a process that nobody else has (RssAnon)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    return 0


def _read_busy() -> float:
    """Return the seconds that the cores which this process may use were busy."""
    mine = {f"cpu{number}" for number in os.sched_getaffinity(0)}
    busy = 0
    for line in Path("/proc/stat").read_text().splitlines():
        name, *words = line.split()
        if name in mine:
            fields = [int(each) for each in words[:8]]
            busy += sum(fields) - fields[3] - fields[4]
    return busy / TICK


@dataclass
class Meter:
    """Measures a stretch of time: seconds, the CPU of some processes, and that of all others."""

    pids: Iterable[int] = ()
    server: Iterable[int] = ()
    _began: float = field(default_factory=time.perf_counter)

    def __post_init__(self) -> None:
        self.pids, self.server = list(self.pids), list(self.server)
        self._client = [read_cpu(pid) for pid in self.pids]
        self._server = [read_cpu(pid) for pid in self.server]
        self._own = time.process_time()
        self._busy = _read_busy()
        self._began = time.perf_counter()

    def stop(self) -> dict[str, float]:
        """Return seconds, client and server CPU seconds, and the cores that others kept busy."""
        seconds = time.perf_counter() - self._began
        client = _grown(self.pids, self._client)
        server = _grown(self.server, self._server)
        others = _read_busy() - self._busy - client - server - (time.process_time() - self._own)
        return {
            "seconds": seconds,
            "client": client,
            "server": server,
            "others": max(0.0, others / seconds),
        }


def _grown(pids: Iterable[int], before: list[float]) -> float:
    return sum(max(0.0, read_cpu(pid) - was) for pid, was in zip(pids, before, strict=True))


def describe() -> dict[str, Any]:
    """Return what a reader of a figure must know of the machine."""
    return {
        "cpu": _read_model(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "python": platform.python_version(),
        "django": version("django"),
        "psycopg": version("psycopg"),
        "load": round(os.getloadavg()[0], 2),
    }


def _read_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()
