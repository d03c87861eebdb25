"""A worker process of a work: waits for the word, runs, and tells what it used.

Lines on its input: ``go``, ``tell``, ``stop``. It answers each with one line of JSON.
"""

from __future__ import annotations

import json
import logging
import os
import resource
import sys
import threading
from typing import Any

from benchmarks.machine import read_memory
from benchmarks.setup import configure_child


def main() -> None:
    """Serve until ``stop``."""
    told = configure_child()
    if "cpu" in told:
        os.sched_setaffinity(0, {told["cpu"]})  # as ``taskset`` does
    logging.disable(logging.INFO)
    from durable_django.dispatch.local import Runner
    from durable_django.dispatch.memory import freeze_loaded

    runner = Runner(
        "default", threads=told.get("threads"), tasks=told.get("tasks"), tick=told.get("tick", True)
    )
    freeze_loaded()  # as ``manage.py durable worker`` does
    _say(ready=True)
    for line in sys.stdin:
        word = line.strip()
        if word == "go":
            runner.start()
        _say(**measure())
        if word == "stop":
            runner.stop(5)
            break
    sys.stdout.flush()
    os._exit(0)


def measure() -> dict[str, Any]:
    """Return CPU seconds, threads and memory of this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "cpu": used.ru_utime + used.ru_stime,
        "memory": read_memory(os.getpid()),
        "threads": threading.active_count(),
    }


def _say(**fields: Any) -> None:
    print(json.dumps(fields), flush=True)


if __name__ == "__main__":
    main()
