"""Bulk operations in a worker: a thread of their own, so that neither timers nor runs wait for them.

Note [The one who ticks carries bulk operations out]
    A tick sees whether an operation is free; one thread of the worker that ticked works on it, and its lease
    keeps the others off. A worker that stops gives the operation back between two rows.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from django.db import connections

from ..engine.bulk_work import work_bulk
from ..engine.faults import faults

logger = logging.getLogger("durable_django.bulk")


class BulkHand:
    """Works bulk operations off on a thread that lives as long as there are any, and until ``is_over``."""

    def __init__(self, using: str, is_over: Callable[[], bool]) -> None:
        self._using = using
        self._is_over = is_over
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def offer(self) -> None:
        """Carry out the operation that is free, unless the thread is still at work."""
        if self._stopping.is_set() or (self._thread is not None and self._thread.is_alive()):
            return
        self._thread = threading.Thread(target=self._work, name="durable-bulk", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Leave the operation between two rows."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(timeout=5)

    def _work(self) -> None:
        try:
            work_bulk(self._using, is_over=lambda: self._stopping.is_set() or self._is_over())
        except Exception as error:
            # Whatever it is, the lease ends and somebody tries again behind the last row.
            logger.exception("a bulk operation was interrupted; it goes on when its lease ends")
            faults.note(error)
        finally:
            connections.close_all()
