"""The tick of a worker: a thread that reports it, and sweeps each period, sooner when a run is due sooner.

Note [The one who ticked last looks ahead]
    Of many processes that tick, the one that ticked last is up again when the next run is due; the others
    only look once a period whether it still does its duty. So N workers cost one sweep, not N.

Note [A worker that does not tick reports itself]
    Who watches and drains workers must see those too that leave the tick to others. Their thread wakes for its
    report alone: it claims no tick, looks for nothing that is due and takes no bulk operation.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence

from django.db import DatabaseError, InterfaceError, connections

from ..conf import settings
from ..engine.faults import faults
from ..engine.identity import get_owner
from ..engine.report_workflows import REPORT_SECONDS as WORKFLOWS_SECONDS
from ..engine.report_workflows import report_workflows
from ..engine.sweep import Swept
from ..engine.tick import report_worker, tick, withdraw_worker
from ..store.lease import seconds_to_next
from .bulk import BulkHand

logger = logging.getLogger("durable_django.worker")

SHORTEST = 0.005
"""Seconds between two looks at the least."""
REPORT_SECONDS = 10.0


class Ticker:
    """Sweeps each TICK_SECONDS, or at the instant at which the next run is due; reports the worker meanwhile.

    Args:
        sweeps: Whether to sweep at all.
        obey: Told whenever an operator drains this worker or lets it take runs again.
        measure: Returns the slots of this worker and how many of them are in use.
        hear: Returns what last went wrong in a child, empty if nothing did since the last call.
    """

    def __init__(
        self,
        using: str,
        queues: Callable[[], Sequence[str]] | Sequence[str],
        *,
        kind: str = "worker",
        sweeps: bool = True,
        obey: Callable[[bool], None] | None = None,
        measure: Callable[[], tuple[int, int]] | None = None,
        hear: Callable[[], str] | None = None,
    ) -> None:
        self._using = using
        self._kind = kind
        self._sweeps = sweeps
        self._queues = queues
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stopping = False
        self._next = 0.0
        self._expected = False
        self._leads = False
        self._early = False
        self._reported = float("-inf")
        self._described = float("-inf")
        self._thread: threading.Thread | None = None
        self.draining = False
        """Whether an operator has asked this worker to take nothing new."""
        self._obey, self._measure, self._hear = obey, measure, hear
        self._bulk = BulkHand(using, is_over=lambda: self.draining)

    def start(self) -> None:
        """Begin to report, and to tick."""
        self._thread = threading.Thread(target=self._work, name="durable-ticker", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the tick, and take the worker off the list."""
        self._stopping = True
        self._wake.set()
        self._bulk.stop()
        if self._thread is not None:
            self._thread.join(timeout=5)

    def expect(self, seconds: float) -> None:
        """Note that a run is due in so many seconds."""
        if not self._sweeps:
            return
        due = time.monotonic() + seconds
        with self._lock:
            if due >= self._next:
                return
            self._next, self._expected = due, True
        self._wake.set()

    def _work(self) -> None:
        while not self._stopping:
            try:
                pause = self._tick()
            except Exception as error:
                # Whatever it is, without this thread nothing is ever due again.
                logger.exception("a tick failed; the next one tries again")
                faults.note(error)
                connections[self._using].close()
                pause = settings.TICK_SECONDS
            self._sleep(pause)
        self._withdraw()
        connections.close_all()

    def _withdraw(self) -> None:
        try:
            withdraw_worker(self._using, get_owner())
        except (DatabaseError, InterfaceError):
            logger.warning("a worker could not be taken off the list", exc_info=True)

    def _tick(self) -> float:
        if self._sweeps:
            return self._sweep()
        with self._lock:
            self._next = float("inf")
        self._report()
        return self._reported + REPORT_SECONDS - time.monotonic()

    def _sweep(self) -> float:
        period: float = settings.TICK_SECONDS
        with self._lock:
            expected, self._expected = self._expected, False
            self._next = float("inf")
        self._report()
        claim = SHORTEST if self._leads and self._early else period
        swept = tick(self._using, period=claim, force=expected)
        self._leads = swept is not None
        if swept is not None and swept.bulk and not self.draining:
            self._bulk.offer()
        left = self._find_next(swept)
        self._early = left is not None and left < period
        return period if left is None else min(period, left)

    def _find_next(self, swept: Swept | None) -> float | None:
        if swept is None:
            return None
        return swept.left if swept.quiet else seconds_to_next(self._using)

    def _report(self) -> None:
        if time.monotonic() - self._reported < REPORT_SECONDS:
            return
        begins = self._reported == float("-inf")
        self._reported = time.monotonic()
        queues = self._queues() if callable(self._queues) else self._queues
        if self._hear is not None and (told := self._hear()):
            faults.take(told)
        asked = report_worker(
            self._using,
            get_owner(),
            self._kind,
            queues,
            slots=self._measure() if self._measure else None,
            fault=faults.last,
            begins=begins,
        )
        self._note(asked)
        if time.monotonic() - self._described >= WORKFLOWS_SECONDS:
            self._described = time.monotonic()
            report_workflows(self._using)

    def _note(self, draining: bool) -> None:
        if draining == self.draining:
            return
        self.draining = draining
        logger.warning("this worker %s", "takes nothing new" if draining else "takes runs again")
        if self._obey is not None:
            self._obey(draining)

    def _sleep(self, pause: float) -> None:
        until = time.monotonic() + max(pause, SHORTEST)
        while not self._stopping:
            with self._lock:
                self._next = min(self._next, until)
                left = self._next - time.monotonic()
            if left <= 0:
                return
            self._wake.wait(left)
            self._wake.clear()
