"""Plays one DemoRun: starts it, finds its run, gives the answers it waits for, judges the end."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any

from ...clock import read_now
from ...engine.handle import RunHandle
from ...models import Run, RunResult, RunStatus, Step, Wait, WaitStatus
from ...models.run import ENDED
from ..payload import open_stored
from ..words import say_result, say_run
from .script import DemoRun, Subject


class Play:
    """One DemoRun on its way; ``verdict`` is None until it is over, and empty if all was as expected."""

    def __init__(self, demo: DemoRun, using: str, since: datetime) -> None:
        self.demo = demo
        self.verdict: str | None = None
        self.run: Run | None = None
        self._using = using
        self._since = since
        self._subject: Subject = {}
        self._answered: set[str] = set()
        self._begun = time.monotonic()

    @property
    def seconds(self) -> float:
        """How long it has been going on, or took."""
        return self._seconds if self.verdict is not None else time.monotonic() - self._begun

    def start(self) -> None:
        """Do what a user would do."""
        self._begun = time.monotonic()
        subject = self._call("start", self.demo.start)
        self._subject = subject if isinstance(subject, dict) else {}

    def go_on(self, seen: datetime) -> str | None:
        """Look at the run, judge it if it ended, else answer what it waits for; return what was answered.

        Args:
            seen: the last look of the screen, which is to show a wait before it is answered.
        """
        if self.verdict is not None:
            return None
        self.run = self._find()
        if self.run is not None and self.run.status in ENDED:
            self._judge(self.run)
            return None
        if time.monotonic() - self._begun > self.demo.seconds:
            self._end(f"it did not end within {self.demo.seconds:g} s: {self._say_state()}")
            return None
        return self._answer(self.run, seen) if self.run is not None else None

    def _find(self) -> Run | None:
        if self.run is not None:
            return Run.objects.using(self._using).filter(id=self.run.id).first()
        runs = Run.objects.using(self._using).filter(workflow=self.demo.workflow, created_at__gte=self._since)
        for run in runs.select_related("event").order_by("id"):
            data = open_stored(run.event.data)
            if isinstance(data, dict) and self._subject.items() <= data.items():
                return run
        return None

    def _answer(self, run: Run, seen: datetime) -> str | None:
        waits = Wait.objects.using(self._using).filter(run_id=run.id, status=WaitStatus.OPEN)
        for name in waits.filter(created_at__lt=seen).values_list("event_name", flat=True):
            if name in self.demo.answers and name not in self._answered:
                self._answered.add(name)
                self._call(f"the answer {name}", partial(self.demo.answers[name], self._subject))
                return f"the demo answers {run.workflow} {run.id.hex[-8:]} with {name!r}"
        return None

    def _judge(self, run: Run) -> None:
        if run.status != RunStatus.COMPLETED:
            result = RunResult.objects.using(self._using).filter(run_id=run.id).first()
            self._end(f"the run is {run.status}: {run.reason or say_result(result)}")
            return
        output = RunHandle(run.id, using=self._using).result(timeout=0)
        wrong = self._call("check", lambda: self.demo.check(self._subject, output))
        if self.verdict is None:
            self._end(str(wrong) if wrong else "")

    def _call(self, what: str, function: Callable[[], Any]) -> Any:
        try:
            return function()
        except Exception as error:  # noqa: BLE001  whatever the project's code raises is the verdict on it
            self._end(f"{what} raised {type(error).__name__}: {error}")
            return None

    def _end(self, verdict: str) -> None:
        self._seconds = time.monotonic() - self._begun
        self.verdict = verdict

    def _say_state(self) -> str:
        if self.run is None:
            return "its run was never seen"
        steps = Step.objects.using(self._using).filter(run_id=self.run.id)
        waits = Wait.objects.using(self._using).filter(run_id=self.run.id)
        return say_run(self.run, steps, list(waits), read_now(self._using))
