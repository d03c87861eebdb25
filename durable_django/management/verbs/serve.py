"""``durable serve``: web server and worker in one process; ``dev`` and ``demo`` start it as their child.

Note [The child never outlives its parent]
    Ctrl-C in a terminal reaches every process of the group; the child stands in a session of its own, so
    that only the parent hears it and stops the child in order. A parent that is killed cannot; so the
    child looks each half second whose child it is.
"""

from __future__ import annotations

import os
import signal
import threading
from argparse import ArgumentParser
from typing import Any

from django.core.management import call_command

from ...dispatch.local import Runner
from ...engine.alias import get_alias
from ...engine.identity import get_owner
from ...engine.tick import withdraw_worker
from ..console import Console
from .worker import leave_now

HELP = ""  # not for people, so it is not listed
GRACE = 3.0
LOOK = 0.5


def add_arguments(parser: ArgumentParser) -> None:
    """Add the address and the parent."""
    parser.add_argument("address", help="host:port of the web server")
    parser.add_argument(
        "--parent", type=int, required=True, help="process id; the end of that process ends this one"
    )


def handle(console: Console, options: dict[str, Any]) -> None:
    """Work and serve until SIGTERM."""
    os.environ.setdefault("DJANGO_RUNSERVER_HIDE_WARNING", "true")
    signal.signal(signal.SIGTERM, _interrupt)
    threading.Thread(target=_follow, args=(options["parent"],), name="durable-parent", daemon=True).start()
    using = get_alias()
    runner = Runner(using)
    runner.start()
    try:
        call_command("runserver", options["address"], "--noreload")
    except (KeyboardInterrupt, SystemExit):
        console.line("Stopping web server and worker.")
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a second one ends it at once
        runner.stop(GRACE)
        withdraw_worker(using, get_owner())
        leave_now(0)  # a browser may hold a connection whose thread Python would wait for


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def _follow(parent: int) -> None:
    pause = threading.Event()
    while os.getppid() == parent:
        pause.wait(LOOK)
    os.kill(os.getpid(), signal.SIGTERM)
