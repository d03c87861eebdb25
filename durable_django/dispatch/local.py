"""Local: the worker of one process, threads for ``def`` runs and an event loop for ``async def`` runs.

Note [A claim waits for more free slots]
    While more is queued than there are slots, slots become free one by one, and a claim costs the same for one run
    as for many. So it waits until a quarter of the slots is free, but no longer than GATHER_SECONDS. A
    nudge is followed at once.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from typing import Any

from django.db import DatabaseError, InterfaceError, connections

from ..conf import settings
from ..define.registry import registry
from ..engine.errand import count_errands
from ..engine.identity import get_owner
from ..engine.keeper import keeper
from ..engine.nudge import Nudge, listen
from ..store.base import Claimed
from ..store.claim import claim_runs
from ..store.lease import release_leases
from ..store.load import load_memos_of
from .crew import AsyncCrew, Crew, Taken, ThreadCrew
from .sockets import WakeSocket, send_wake
from .ticker import Ticker

logger = logging.getLogger("durable_django.worker")

CLAIM_LIMIT = 64
GATHER_SECONDS = 0.005
POLL_SECONDS = 2.0
"""How long queued work of another host may stay unseen between two re-nudges."""


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
        tick: Whether to do the tick as well.
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
        self._ticker = Ticker(using, self.queues) if tick else None
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
        if self._ticker is not None:
            self._ticker.start()

    def wait(self) -> None:
        """Block until the runner is stopped."""
        while not self._stopping.wait(1.0):
            continue

    def stop(self, grace: float = 10.0) -> bool:
        """Stop: runs leave at their next step, what is not done after ``grace`` seconds is given back.

        Returns:
            Whether every run left by itself.
        """
        self._stopping.set()
        self._wake.set()
        self._ear.close()
        self._unlisten()
        if self._ticker is not None:
            self._ticker.stop()
        deadline = time.monotonic() + grace
        while (self.active or count_errands(self._using)) and time.monotonic() < deadline:
            keeper.stop_slices()
            time.sleep(0.02)
        left = [
            (part.claimed.id, part.claimed.token) for part in keeper.slices() if part.using == self._using
        ]
        if left:
            logger.warning("runs are given back in the middle of a step", extra={"runs": len(left)})
            release_leases(self._using, left)
        self._tasks.close()
        self._threads.close()
        if self._loop is not None:
            self._loop.join(timeout=5)
        return not left

    def _hear(self, queue: str) -> None:
        if queue in self.queues:
            self._enough.set()
            self._wake.set()

    def _expect(self, seconds: float) -> None:
        if self._ticker is not None:
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
                while self._claim_all() and not self._stopping.is_set():
                    continue
            except (DatabaseError, InterfaceError):
                logger.warning("the database cannot be reached; the worker tries again", exc_info=True)
                connections[self._using].close()
                self._stopping.wait(1.0)
            self._wake.wait(POLL_SECONDS)
            if self._threads.hungry or self._tasks.hungry:
                self._enough.wait(GATHER_SECONDS)
        connections.close_all()

    def _claim_all(self) -> bool:
        """Fill the free slots; return whether there may be more work for slots that are still free."""
        asynchronous = [each.id for each in registry if each.is_async]
        more = self._claim(self._threads, excluding=asynchronous)
        if asynchronous:
            more = self._claim(self._tasks, including=asynchronous) or more
        return more

    def _claim(self, crew: Crew, **which: list[str]) -> bool:
        more = False
        for queue in self.queues:
            limit = min(crew.free, CLAIM_LIMIT)
            if limit <= 0:
                crew.hungry = True
                return False
            claimed = self._claim_queue(queue, limit, which)
            if claimed:
                crew.execute(self._load(claimed))
            more = more or len(claimed) == limit
        crew.hungry = more
        return more and crew.free > 0

    def _load(self, claimed: list[Claimed]) -> list[Taken]:
        """Load the memos of the resumed ones among several runs in one query."""
        resumed = [run.id for run in claimed if not run.fresh]
        memos = load_memos_of(self._using, resumed) if len(resumed) > 1 else {}
        return [(run, memos.get(run.id)) for run in claimed]

    def _claim_queue(self, queue: str, limit: int, which: dict[str, Any]) -> list[Claimed]:
        return claim_runs(
            self._using,
            owner=get_owner(),
            lease=settings.LEASE_SECONDS,
            queue=queue,
            limit=limit,
            **which,
        )
