"""Inline: the caller's own thread executes what was announced; for tests and the shell."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence

from ..conf import settings
from ..engine.alias import get_alias
from ..engine.execute import execute_run
from ..engine.identity import get_owner
from ..engine.nudge import Nudge
from ..engine.sweep import sweep
from ..store.claim import claim_runs
from ..store.lease import seconds_to_next

_state = threading.local()


class InlineDispatcher:
    """Executes the nudged runs at once; a nudge from inside a run waits until that run has left it."""

    def nudge(self, nudges: Sequence[Nudge]) -> None:
        """Execute the runs, and those that they start, on this thread."""
        queue: deque[Nudge] | None = getattr(_state, "queue", None)
        if queue is not None:
            queue.extend(nudges)
            return
        _state.queue = queue = deque(nudges)
        try:
            while queue:
                _execute(queue.popleft())
        finally:
            _state.queue = None

    def work_while_waiting(self, using: str) -> bool:
        """Do what is due, or sleep until something is; return whether anything was done."""
        swept = sweep(using)
        if swept.woken or swept.taken_over or swept.requeued or swept.routed:
            return True
        left = seconds_to_next(using)
        if left is not None and left < 1:
            time.sleep(max(left, 0.001))
            return True
        return False


def _execute(nudge: Nudge) -> None:
    using = get_alias()
    for claimed in claim_runs(using, owner=get_owner(), lease=settings.LEASE_SECONDS, ids=[nudge.run_id]):
        execute_run(using, claimed)
