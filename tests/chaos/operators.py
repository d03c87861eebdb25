"""What operators do to runs meanwhile: it delays them, or ends sooner what ends anyway, and changes no result."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter

from django.db import DatabaseError, InterfaceError, connection, connections

from durable_django.engine.bulk import start_bulk
from durable_django.engine.operations import pause_workflow, resume_workflow
from durable_django.exceptions import WorkflowRefused
from durable_django.models import Run, Wait
from durable_django.models.run import LIVE

PAUSE = 3.0
"""Seconds after which a paused workflow is resumed; nobody in a program waits for another that long in vain."""
AGAIN = 0.2
NOBODY = "chaos/nobody"
LOOKS, LOOK = 60, 0.05
"""How often, and how many seconds apart, a bulk operation looks whether there is a row for it."""


class Operators:
    """Pause and resume workflows, and start bulk operations; ``done`` counts it."""

    def __init__(self, done: Counter[str]) -> None:
        self._done = done
        self._paused: dict[str, threading.Timer] = {}

    def pause(self) -> None:
        """Pause the workflow of some live run for a while, now and then with its running runs held as well."""
        try:
            workflow = (
                Run.objects.filter(status__in=LIVE).order_by("?").values_list("workflow", flat=True).first()
            )
            if workflow is None or workflow in self._paused:
                return
            pause_workflow(workflow, actor="chaos", running=random.choice(["finish", "stop"]))
        except (DatabaseError, InterfaceError):
            connection.close()  # it may be paused all the same, and is resumed in any case
        except WorkflowRefused:
            return  # it is paused in this way already
        self._done["pauses"] += 1
        timer = self._paused[workflow] = threading.Timer(PAUSE, self._resume, [workflow])
        timer.start()

    def time_out(self) -> None:
        """Let all waits of a kind that nobody answers time out, by one bulk operation, if there are any soon."""
        try:
            self._look_for_waits()
            start_bulk("time_out", {"event": NOBODY}, actor="chaos")
            self._done["bulk_operations"] += 1
        except (DatabaseError, InterfaceError):
            connection.close()

    def _look_for_waits(self) -> None:
        waits = Wait.objects.filter(status="open", event_name=NOBODY)
        for _ in range(LOOKS):
            if waits.exists():
                return
            time.sleep(LOOK)

    def rest(self) -> None:
        """Return when nothing is paused any more."""
        for timer in list(self._paused.values()):
            timer.join()

    def _resume(self, workflow: str) -> None:
        while not self._try_resume(workflow):
            time.sleep(AGAIN)
        del self._paused[workflow]
        connections.close_all()

    def _try_resume(self, workflow: str) -> bool:
        try:
            self._done["held_runs"] += Run.objects.filter(workflow=workflow, status="paused").count()
            resume_workflow(workflow, actor="chaos")
        except (DatabaseError, InterfaceError):
            connection.close()
            return False
        except WorkflowRefused:
            self._done["resumed_before"] += 1  # it is not paused
        return True
