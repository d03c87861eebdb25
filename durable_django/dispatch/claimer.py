"""Fill the free slots of a worker with queued runs, many in one claim.

Note [A claim waits for more free slots]
    While more is queued than there are slots, slots become free one by one, and a claim costs the same for one run
    as for many. So it waits until a quarter of the slots is free, but no longer than GATHER_SECONDS. A
    nudge is followed at once.

Note [One claim serves both crews]
    ``def`` and ``async def`` runs share their queues. As long as both crews have room, whatever comes first
    is taken, of either kind; only what is left is asked for by kind. That question reads past all queued runs
    of the other kind, so an empty answer to it is believed for ten times as long as it took; meanwhile the other
    crew fills all of its own slots in one claim, however few the first one has.

Note [An idle worker asks one question]
    A worker without runs asks for one of any kind, suspects included; only if it gets one it asks for more.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from ..conf import settings
from ..define.registry import registry
from ..engine.identity import get_owner
from ..store.base import Claimed
from ..store.claim import claim_runs
from ..store.load import load_memos_of
from .crew import Crew, Taken
from .suspects import Lookout, allowed_deaths, other_deaths, suspect_deaths

CLAIM_LIMIT = 64
GATHER_SECONDS = 0.01
BELIEF_SECONDS = 0.05
POLL_SECONDS = 2.0
"""How long queued work of another host may stay unseen between two re-nudges."""


class Claimer:
    """Claims for two crews; ``threads`` execute ``def`` runs, ``tasks`` those of ``async def`` workflows.

    While ``is_draining`` it claims nothing.
    """

    def __init__(
        self,
        using: str,
        queues: Callable[[], Sequence[str]],
        *,
        threads: Crew,
        tasks: Crew,
        is_draining: Callable[[], bool],
    ) -> None:
        self._using = using
        self._queues = queues
        self._threads = threads
        self._tasks = tasks
        self._is_draining = is_draining
        self._lookout = Lookout(using)
        self._believed: dict[tuple[str, Crew], float] = {}

    def fill(self) -> float:
        """Fill the free slots and return in how many seconds to look again if nothing is heard."""
        crews = (self._threads, self._tasks)
        for crew in crews:
            crew.hungry = False
        idle = not any(crew.active for crew in crews)
        if self._is_draining() or (idle and not self._claim_first()):
            return POLL_SECONDS
        self._claim_suspect()
        asynchronous = [each.id for each in registry if each.is_async]
        for queue in self._queues():
            if not asynchronous:
                self._claim_for(self._threads, queue)
            elif min(crew.free for crew in crews) <= 0:
                self._claim_for(self._threads, queue, excluding=asynchronous)
                self._claim_for(self._tasks, queue, including=asynchronous)
            elif any(self._believes(crew, queue) for crew in crews) or self._claim_for_both(queue):
                self._claim_for(self._threads, queue, least=self._threads.worth, excluding=asynchronous)
                self._claim_for(self._tasks, queue, least=self._tasks.worth, including=asynchronous)
        return min(map(self._rest, crews))

    def _rest(self, crew: Crew) -> float:
        if not crew.hungry or crew.free <= 0:
            return POLL_SECONDS
        # A slot that became free during the claim has woken nobody.
        believed = any(self._believes(crew, queue) for queue in self._queues())
        return 0.0 if crew.free >= crew.worth and not believed else GATHER_SECONDS

    def _believes(self, crew: Crew, queue: str) -> bool:
        return time.monotonic() < self._believed.get((queue, crew), 0.0)

    def _claim_for_both(self, queue: str) -> bool:
        """Claim what comes first; return whether something may be left."""
        limit = min(self._threads.free, self._tasks.free, CLAIM_LIMIT)
        claimed = self._claim(queue, limit)
        self._distribute(claimed)
        return len(claimed) == limit

    def _claim_first(self) -> bool:
        """Take a run of any kind, or a suspect, for a worker that has none; return whether there was one."""
        for queue in self._queues():
            if claimed := self._claim(queue, 1, deaths=allowed_deaths(self._using)):
                self._lookout.rest()
                self._distribute(claimed)
                return True
        return False

    def _claim_suspect(self) -> None:
        """Take a single one, now and then; see Note [One suspect at a time]."""
        if min(self._threads.free, self._tasks.free) <= 0 or not self._lookout.is_due():
            return
        for queue in self._queues():
            if claimed := self._claim(queue, 1, deaths=suspect_deaths()):
                self._distribute(claimed)
                return

    def _distribute(self, claimed: list[Claimed]) -> None:
        kinds: tuple[list[Claimed], list[Claimed]] = ([], [])
        for run in claimed:
            workflow = registry.find(run.workflow)
            kinds[workflow is not None and workflow.is_async].append(run)
        self._execute(self._threads, kinds[False])
        self._execute(self._tasks, kinds[True])

    def _claim_for(self, crew: Crew, queue: str, *, least: int = 1, **which: list[str]) -> None:
        limit = min(crew.free, CLAIM_LIMIT)
        if limit < least or self._believes(crew, queue):
            crew.hungry = True
            return
        began = time.monotonic()
        claimed = self._claim(queue, limit, **which)
        self._execute(crew, claimed)
        crew.hungry = crew.hungry or len(claimed) == limit
        if which and not claimed:
            took = time.monotonic() - began
            self._believed[queue, crew] = time.monotonic() + max(BELIEF_SECONDS, 10 * took)

    def _claim(self, queue: str, limit: int, **which: Any) -> list[Claimed]:
        lease = settings.LEASE_SECONDS
        which = {"deaths": other_deaths(), **which}
        return claim_runs(self._using, owner=get_owner(), lease=lease, queue=queue, limit=limit, **which)

    def _execute(self, crew: Crew, claimed: list[Claimed]) -> None:
        if claimed:
            crew.execute(self._load(claimed))

    def _load(self, claimed: list[Claimed]) -> list[Taken]:
        """Load the memos of the resumed ones among several runs in one query."""
        resumed = [run.id for run in claimed if not run.fresh]
        memos = load_memos_of(self._using, resumed) if len(resumed) > 1 else {}
        return [(run, memos.get(run.id)) for run in claimed]
