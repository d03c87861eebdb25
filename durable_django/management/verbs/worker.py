"""``durable worker``: execute runs in this process until a signal ends it."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser
from typing import Any

from ...conf import settings
from ...dispatch.local import Runner
from ...dispatch.memory import freeze_loaded
from ...engine.alias import get_alias
from ...engine.identity import get_owner
from ...engine.tick import withdraw_worker
from ..arguments import read_count, read_seconds
from ..console import Console
from ..stopping import StopSignal

HELP = "execute runs in this process; no broker needed"


def add_arguments(parser: ArgumentParser) -> None:
    """Add queues, sizes and the grace."""
    parser.add_argument(
        "-q",
        "--queue",
        nargs="+",
        action="extend",
        metavar="QUEUE",
        help="serve these (all that workflows name)",
    )
    parser.add_argument(
        "--threads", type=read_count, metavar="N", help="def runs side by side (WORKER_THREADS)"
    )
    parser.add_argument(
        "--tasks", type=read_count, metavar="N", help="async runs side by side (WORKER_TASKS)"
    )
    parser.add_argument(
        "--no-tick", action="store_true", help="leave timers and take-overs to other processes"
    )
    parser.add_argument(
        "--grace",
        type=read_seconds,
        default=10.0,
        metavar="SECONDS",
        help="for running steps at the stop (10)",
    )


def handle(console: Console, options: dict[str, Any]) -> None:
    """Work until SIGTERM or Ctrl-C; a second signal does not wait for running steps."""
    using = get_alias()
    runner = Runner(
        using,
        queues=options["queue"],
        threads=options["threads"],
        tasks=options["tasks"],
        tick=not options["no_tick"],
    )
    freeze_loaded()
    with StopSignal() as stop:
        runner.start()
        _announce(console, using, runner, options)
        stop.wait()
        runner.leave()
        console.note("Stopping; once more stops at once.")  # and no run begins a further step
        gone = runner.stop(options["grace"])
    withdraw_worker(using, get_owner())
    console.line("Stopped." if gone else "Stopped; runs in the middle of a step were given back.")
    if not gone:
        leave_now(0)


def leave_now(code: int) -> None:
    """End the process although threads still run user code: Python would wait for them at its exit."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _announce(console: Console, using: str, runner: Runner, options: dict[str, Any]) -> None:
    threads = options["threads"] or settings.WORKER_THREADS
    tasks = options["tasks"] or settings.WORKER_TASKS
    tick = "no tick" if options["no_tick"] else f"a tick each {settings.TICK_SECONDS:g} s"
    console.line(
        f"Worker {get_owner()} serves {', '.join(runner.queues)} of {using!r} with {threads} threads, "
        f"{tasks} tasks, {tick}. Ctrl-C stops it; twice stops it at once."
    )
    if settings.DISPATCHER != "local":
        console.note(
            f"DISPATCHER is {settings.DISPATCHER!r}: new runs are not announced to this worker, "
            "so it looks for them every few seconds."
        )
