"""A broker that dies with its process: nudges lie in memory until the player delivers them."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence

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


def deliver() -> int:
    """Do what a worker does with each message, until there is none; return how many there were."""
    done = 0
    while _box:
        done += 1
        nudge = _box.popleft()
        for claimed in claim_runs(
            "default", owner=get_owner(), lease=settings.LEASE_SECONDS, ids=[nudge.run_id]
        ):
            execute_run("default", claimed, lend=True)
        while count_errands("default"):
            time.sleep(0.001)
    return done
