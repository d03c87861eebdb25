"""A broker that dies with its process: nudges lie in memory until the player delivers them."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from uuid import UUID

from durable_django.conf import settings
from durable_django.engine.errand import count_errands
from durable_django.engine.execute import execute_run
from durable_django.engine.identity import get_owner
from durable_django.engine.nudge import Nudge
from durable_django.store.claim import claim_runs
from tests.crash import world

_box: deque[Nudge] = deque()


class Post:
    """The dispatcher: each message is a crash point."""

    def nudge(self, nudges: Sequence[Nudge]) -> None:
        for each in nudges:
            world.points.reach("publish")
            _box.append(each)


def take() -> UUID | None:
    """Return the run of the next message."""
    return _box.popleft().run_id if _box else None


def deliver() -> int:
    """Do what a worker does with each message, until there is none; return how many there were."""
    from tests.crash import broker

    receive = broker.take if settings.DISPATCHER == broker.NAME else take
    done = 0
    while (run_id := receive()) is not None:
        done += 1
        for claimed in claim_runs("default", owner=get_owner(), lease=settings.LEASE_SECONDS, ids=[run_id]):
            execute_run("default", claimed, lend=True)
        while count_errands("default"):
            time.sleep(0.001)
    return done
