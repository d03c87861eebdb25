"""Local: the worker of one process, threads for ``def`` runs and an event loop for ``async def`` runs."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence

from django.db import DatabaseError, InterfaceError, connections

from ..conf import settings
from ..define.registry import registry
from ..engine.errand import count_errands
from ..engine.faults import faults
from ..engine.keeper import keeper
from ..engine.nudge import Nudge, listen
from ..store.lease import release_leases
from .claimer import GATHER_SECONDS, Claimer
from .crew import AsyncCrew, Crew, ThreadCrew
from .sockets import WakeSocket, send_wake
from .ticker import Ticker

logger = logging.getLogger("durable_django.worker")


class LocalDispatcher:
    """Wakes the workers of this host, which then look for queued runs themselves."""

    def nudge(self, nudges: Sequence[Nudge]) -> None:
        """Wake the workers that serve the queues of the runs."""
        from ..engine.alias import get_alias

        send_wake(get_alias(), {nudge.queue for nudge in nudges})


class Runner:
    """A worker: claims queued runs as slots are free and executes them until it is stopped.

    Args:
        using: Alias of the durable tables.
        queues: The queues to serve; None serves DEFAULT_QUEUE and those that workflows name.
        threads: ``def`` runs side by side; WORKER_THREADS if None.
        tasks: ``async def`` runs side by side; WORKER_TASKS if None.
        tick: Whether to do the tick as well; the worker reports itself in any case.
    """

    def __init__(
        self,
        using: str,
        *,
        queues: Sequence[str] | None = None,
        threads: int | None = None,
        tasks: int | None = None,
        tick: bool = True,
    ) -> None:
        self._using = using
        self._queues = list(queues) if queues else None
        self._threads = ThreadCrew(using, threads or settings.WORKER_THREADS, self._freed)
        self._tasks = AsyncCrew(using, tasks or settings.WORKER_TASKS, self._freed)
        self._ticker = Ticker(using, self.queues, sweeps=tick, measure=self._measure)
        self._claimer = Claimer(
            using,
            lambda: self.queues,
            threads=self._threads,
            tasks=self._tasks,
            is_draining=lambda: self._ticker.draining,
        )
        self._wake = threading.Event()
        self._enough = threading.Event()
        self._stopping = threading.Event()
        self._loop: threading.Thread | None = None

    @property
    def queues(self) -> list[str]:
        """The queues that the runner serves."""
        if self._queues is not None:
            return self._queues
        named = {each.queue for each in registry if each.queue}
        return [settings.DEFAULT_QUEUE, *sorted(named - {settings.DEFAULT_QUEUE})]

    @property
    def active(self) -> int:
        """The number of runs that are being executed."""
        return self._threads.active + self._tasks.active

    def start(self) -> None:
        """Begin to work, on threads of its own."""
        self._ear = WakeSocket(self._using, self._hear)
        self._unlisten = listen(self._expect)
        self._loop = threading.Thread(target=self._work, name="durable-runner", daemon=True)
        self._loop.start()
        self._ticker.start()

    def wait(self) -> None:
        """Block until the runner is stopped."""
        while not self._stopping.wait(1.0):
            continue

    def leave(self) -> None:
        """Claim nothing more, and ask the runs to leave at their next step; the caller goes on to stop."""
        self._stopping.set()
        self._wake.set()
        keeper.stop_slices()

    def stop(self, grace: float = 10.0) -> bool:
        """Stop: runs leave at their next step, what is not done after ``grace`` seconds is given back.

        Returns:
            Whether every run left by itself.
        """
        self.leave()
        self._ear.close()
        self._unlisten()
        self._ticker.stop()
        deadline = time.monotonic() + grace
        if self._loop is not None:
            # What a claim in flight brings is executed or given back, not left to the end of its lease.
            self._loop.join(timeout=min(grace, 5.0))
        while (self.active or count_errands(self._using)) and time.monotonic() < deadline:
            keeper.stop_slices()  # again: some may have begun since
            time.sleep(0.02)
        left = [
            (part.claimed.id, part.claimed.token) for part in keeper.slices() if part.using == self._using
        ]
        if left:
            logger.warning("runs are given back in the middle of a step", extra={"runs": len(left)})
            release_leases(self._using, left)
            send_wake(self._using, self.queues)
        self._tasks.close()
        self._threads.close()
        return not left

    def _measure(self) -> tuple[int, int]:
        """Return the slots that the workflows here can use, and how many are in use."""
        kinds = {each.is_async for each in registry}
        crews = [crew for crew, kind in ((self._threads, False), (self._tasks, True)) if kind in kinds]
        return sum(crew.free + crew.active for crew in crews), self.active

    def _hear(self, queue: str) -> None:
        if queue in self.queues:
            self._enough.set()
            self._wake.set()

    def _expect(self, seconds: float) -> None:
        self._ticker.expect(seconds)

    def _freed(self, crew: Crew) -> None:
        # Only if the last claim left work behind; otherwise nothing is gained by asking again.
        if crew.hungry:
            if crew.free >= crew.worth:
                self._enough.set()
            self._wake.set()

    def _work(self) -> None:
        while not self._stopping.is_set():
            try:
                self._wake.clear()
                self._enough.clear()
                pause = self._claimer.fill()
            except (DatabaseError, InterfaceError) as error:
                logger.warning("the database cannot be reached; the worker tries again", exc_info=True)
                faults.note(error)
                connections[self._using].close()
                self._stopping.wait(1.0)
                pause = 0.0
            if self._wake.wait(pause) and (self._threads.hungry or self._tasks.hungry):
                self._enough.wait(GATHER_SECONDS)
        connections.close_all()
