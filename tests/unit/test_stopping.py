from __future__ import annotations

import subprocess
import sys

import pytest

from tests.processes import ROOT

WAIT = """
import signal, threading, time
from durable_django.management.stopping import StopSignal

def strike(*numbers):
    time.sleep(0.3)  # until the main thread waits
    for number in numbers:
        signal.pthread_kill(TARGET, number)

signal.signal(signal.SIGUSR1, lambda *_: None)
with StopSignal() as stop:
    TARGET = threading.main_thread().ident
    thread = threading.Thread(target=lambda: strike(%s))
    thread.start()
    %s
    print(stop.wait(%s))
"""
OTHER = "TARGET = thread.ident"


@pytest.mark.parametrize(
    ("numbers", "target", "seconds", "told"),
    [
        ("signal.SIGTERM", "", 20, True),
        ("signal.SIGTERM", OTHER, 20, True),
        ("signal.SIGUSR1, signal.SIGINT", OTHER, 20, True),
        ("signal.SIGUSR1", "", 1, False),
    ],
    ids=["main thread", "another thread", "after another signal", "another signal"],
)
def test_a_signal_ends_the_wait_whichever_thread_it_meets(
    numbers: str, target: str, seconds: int, told: bool
) -> None:
    """A process that waits hears at once that it is to stop, and of nothing else."""
    command = [sys.executable, "-c", WAIT % (numbers, target or "pass", seconds)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    assert (done.stdout.strip(), done.stderr.strip()) == (str(told), "")
