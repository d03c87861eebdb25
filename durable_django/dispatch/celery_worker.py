"""What a Celery worker does besides its tasks: tick, report itself, and let go of runs when it stops.

Note [A child hears that its worker stops]
    Celery tells only the main process of a worker that it stops; the children of a prefork pool would
    execute their runs to the end. So the main process raises a flag that its children see, and each child
    looks at it while it lives.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence

from ..conf import settings
from ..engine.alias import get_alias
from ..engine.faults import faults
from ..engine.identity import join_worker
from ..engine.keeper import keeper
from ..engine.nudge import listen
from .kinship import kinship
from .ticker import Ticker

LOOK_SECONDS = 0.2

_watched: set[int] = set()
_tickers: dict[int, Ticker] = {}


def start(queues: Sequence[str], measure: Callable[[], tuple[int, int]] | None = None) -> None:
    """Begin to report this process, the worker's main one, and to tick in it if TICK_FROM_WORKERS says so.

    Args:
        measure: Returns how many tasks the worker executes side by side at most, and how many it does now.
    """
    kinship.stopping = kinship.draining = False
    if os.getpid() in _tickers:
        return
    ticker = _tickers[os.getpid()] = Ticker(
        get_alias(),
        queues,
        kind="celery",
        sweeps=settings.TICK_FROM_WORKERS,
        obey=_drain,
        measure=measure,
        hear=kinship.read_fault,
    )
    ticker.start()
    threading.Thread(target=_relay, args=(ticker,), name="durable-relay", daemon=True).start()


def leave() -> None:
    """Ask the runs of this worker to leave at their next step; safe in a signal's handler."""
    kinship.stopping = True


def stop() -> None:
    """End the report and the tick."""
    ticker = _tickers.pop(os.getpid(), None)
    if ticker is not None:
        ticker.stop()


def join() -> None:
    """Take part in the life of the worker, from a process that executes runs; once is enough."""
    if os.getpid() in _watched:
        return
    _watched.add(os.getpid())
    join_worker(kinship.main)
    if kinship.main != os.getpid():
        faults.pass_on = kinship.tell_fault
    listen(_tell_due)
    threading.Thread(target=_watch, name="durable-watch", daemon=True).start()


def is_draining() -> bool:
    """Tell whether this worker is to take nothing new."""
    return kinship.draining


def is_leaving() -> bool:
    """Tell whether this worker stops, or is to take nothing new."""
    return kinship.stopping or kinship.draining


def _drain(draining: bool) -> None:
    kinship.draining = draining


def _tell_due(seconds: float) -> None:
    if seconds < settings.TICK_SECONDS:
        kinship.tell_due(seconds)


def _relay(ticker: Ticker) -> None:
    while True:
        ticker.expect(kinship.read_due())


def _watch() -> None:
    pause = threading.Event()
    while True:
        pause.wait(LOOK_SECONDS)
        if kinship.stopping:
            keeper.stop_slices()
