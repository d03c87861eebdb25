"""Keep the leases of running slices: one thread a process renews them all in one statement.

Note [One writer]
    A worker owns a run by a lease with a fencing token; each of its writes names the token (law 3). A step
    that is longer than the lease keeps it, because this thread renews it every third of it. A process that
    hangs or dies stops renewing; the sweep gives the run to another, and the old token is refused.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from django.db import connections

from ..conf import settings
from ..store.lease import renew_leases
from .slice import Slice

logger = logging.getLogger("durable_django.execute")


class Keeper:
    """Knows the slices that this process executes; its thread lives only while there are any."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._slices: dict[tuple[str, UUID], Slice] = {}
        self._thread: threading.Thread | None = None
        self._pid = 0
        self._hurry = threading.Event()  # of the thread; a thread whose event it is no more must end
        self._pause = 0.0

    @contextmanager
    def hold(self, part: Slice) -> Iterator[None]:
        """Renew the slice's lease until the block ends."""
        key = (part.using, part.claimed.id)
        with self._lock:
            self._forget_parent()
            self._slices[key] = part
            self._start()
        try:
            yield
        finally:
            with self._lock:
                if self._slices.get(key) is part:
                    del self._slices[key]

    def slices(self) -> list[Slice]:
        """Return the slices that are being executed now."""
        with self._lock:
            return list(self._slices.values())

    def stop_slices(self) -> None:
        """Ask every slice to release its run at the next step."""
        for part in self.slices():
            part.stopping = True

    def stop_slice(self, using: str, run_id: UUID, token: int) -> None:
        """Ask one slice to release its run at the next step."""
        with self._lock:
            part = self._slices.get((using, run_id))
        if part is not None and part.claimed.token == token:
            part.stopping = True

    def close(self, timeout: float = 5.0) -> bool:
        """Keep no lease any more, and end the thread with its connections; a later slice starts another.

        Args:
            timeout: Seconds to wait for a renewal that is under way.

        Returns:
            Whether the thread has ended.
        """
        with self._lock:
            self._forget_parent()
            thread, hurry = self._thread, self._hurry
            self._thread, self._hurry, self._slices = None, threading.Event(), {}
        hurry.set()
        if thread is None:
            return True
        thread.join(timeout)
        return not thread.is_alive()

    def _forget_parent(self) -> None:
        if self._pid != os.getpid():
            self._pid, self._thread, self._hurry, self._slices = os.getpid(), None, threading.Event(), {}

    def _start(self) -> None:
        if self._thread is None or not self._thread.is_alive():
            self._hurry = threading.Event()
            self._thread = threading.Thread(
                target=self._work, args=(self._hurry,), name="durable-keeper", daemon=True
            )
            self._thread.start()
        elif self._pause > settings.LEASE_SECONDS / 3:
            self._hurry.set()  # the lease was made shorter since the thread lay down

    def _work(self, hurry: threading.Event) -> None:
        idle = 0
        while not self._may_leave(hurry, idle):
            self._pause = settings.LEASE_SECONDS / 3
            hurry.wait(self._pause)
            hurry.clear()
            held = self.slices()
            idle = 0 if held else idle + 1
            for using in {part.using for part in held}:
                self._renew(using, [part for part in held if part.using == using])
        connections.close_all()

    def _may_leave(self, hurry: threading.Event, idle: int) -> bool:
        with self._lock:  # a slice that comes later must find no thread that is about to end
            if hurry is not self._hurry:
                return True
            if idle < 3 or self._slices:
                return False
            self._thread = None
            return True

    def _renew(self, using: str, held: list[Slice]) -> None:
        try:
            owned = renew_leases(
                using, [(part.claimed.id, part.claimed.token) for part in held], settings.LEASE_SECONDS
            )
        except Exception:
            # Without this thread every lease would end. The fence protects the run; another worker may take it over.
            logger.warning("leases could not be renewed", exc_info=True, extra={"runs": len(held)})
            return
        for part in held:
            if part.claimed.id not in owned:
                part.lost = True


keeper = Keeper()
