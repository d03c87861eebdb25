"""Workflows that kill their worker, and neighbours that only want to get on with their work.

The event's data says where to leave traces (``ledger``), how to die (``how``) and where (``where``).
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import time
from typing import Any

from durable_django import Context, workflow
from tests.ledger import read, record


def read_null() -> None:
    """Read address 0: SIGSEGV, as a broken C extension does."""
    ctypes.string_at(0)


def be_killed_for_memory() -> None:
    """What the kernel does to a process that takes too much memory."""
    os.kill(os.getpid(), signal.SIGKILL)


def run_out_of_memory() -> int:
    """Ask for more than the process may have, which Python says with MemoryError."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (1 << 33, hard))
    try:
        return len(bytearray(1 << 34))
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


DEATHS = {
    "segfault": read_null,
    "abort": os.abort,
    "exit": lambda: os._exit(7),
    "killed": be_killed_for_memory,
    "memory": run_out_of_memory,
}


def die(data: dict[str, Any], run: str) -> None:
    record(data["ledger"], run, "die")
    DEATHS[data["how"]]()


@workflow(id="poison", trigger="process/poison", retries=1, backoff="1s")
def poison(ctx: Context) -> str:
    """Die in a step, or between two."""
    data = ctx.event.data
    ctx.step.run("before", record, data["ledger"], ctx.run_id, "before")
    if data["where"] == "step":
        ctx.step.run("die", die, data, ctx.run_id)
    else:
        die(data, ctx.run_id)
    return "survived"


def take_time(data: dict[str, Any], run: str) -> None:
    record(data["ledger"], run, "begin")
    time.sleep(data["seconds"])
    record(data["ledger"], run, "end")


@workflow(id="neighbour", trigger="process/neighbour")
def live_nearby(ctx: Context) -> str:
    """One long step, longer than a poisoned worker lives."""
    ctx.step.run("long", take_time, ctx.event.data, ctx.run_id)
    return "done"


def hog(data: dict[str, Any], run: str) -> int:
    """The first time, hold the interpreter's lock for ``seconds``, as a C extension may: no thread of ours runs."""
    record(data["ledger"], run, "hog")
    if len(read(data["ledger"])) == 1:
        ctypes.PyDLL(None).usleep(int(data["seconds"] * 1_000_000))
    return os.getpid()


@workflow(id="hog", trigger="process/hog")
def hold_the_interpreter(ctx: Context) -> int:
    """A step that keeps every other thread of its process from running."""
    pid = ctx.step.run("hog", hog, ctx.event.data, ctx.run_id)
    ctx.step.run("after", record, ctx.event.data["ledger"], ctx.run_id, "after")
    return pid
