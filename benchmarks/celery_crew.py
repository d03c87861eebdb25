"""A Celery worker process as a work sees it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks.setup import VARIABLE


@contextmanager
def celery_worker(told: dict[str, Any], queue: str, *, threads: int) -> Iterator[int]:
    """Give the process id of a worker that serves a queue with a pool of threads."""
    command = [sys.executable, "-m", "celery", "-A", "benchmarks.celery_app", "worker", "-P", "threads"]
    command += ["-c", str(threads), "-Q", queue, "-l", "ERROR", "--without-gossip", "--without-mingle"]
    environment = {**os.environ, VARIABLE: json.dumps(told)}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


def wait_for_worker(kind: str = "celery", limit: float = 60.0) -> None:
    """Return when a worker has reported itself in the database."""
    from durable_django.models import Worker

    until = time.monotonic() + limit
    while time.monotonic() < until:
        if Worker.objects.filter(kind=kind).exists():
            return
        time.sleep(0.05)
    raise SystemExit("the Celery worker does not come up")
