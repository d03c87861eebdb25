"""Where a case is played: its workflows, its events, its time, and what it left behind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from django.db import transaction

from durable_django import Event, RunHandle, send_event
from durable_django.define.workflow import Workflow
from durable_django.exceptions import RunCancelled, RunFailed
from durable_django.models import Attempt, Run, Step
from durable_django.models import Event as StoredEvent
from durable_django.models.run import ENDED
from durable_django.testing import advance, drain
from tests import ledger
from tests.conformance.case import NOTHING, Case, Span
from tests.waiting import wait_until

PATIENCE = 60.0
"""Seconds that a case waits for anything."""


@dataclass
class Stage:
    """One cell of the matrix for one case."""

    case: Case
    kind: str
    engine: str
    alias: str
    folder: Path
    workflows: dict[str, Workflow[Any, Any]] = field(default_factory=dict)
    handles: list[RunHandle] = field(default_factory=list)

    @property
    def place(self) -> str:
        return self.case.place(self.kind)

    @property
    def inline(self) -> bool:
        return self.engine == "inline"

    # --- what happens -------------------------------------------------------------------------------

    def start(self, name: str = "main", key: str | None = None, **data: Any) -> RunHandle:
        """Start a program with the case's data."""
        handle = self.workflows[name].start(self.fill({**self.case.data, **data}), key=key)
        self.handles.append(handle)
        return handle

    def fill(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Return the data with the cell's lengths of time, and where to leave traces."""
        told = {key: self.span(value) if isinstance(value, Span) else value for key, value in data.items()}
        return {"place": self.place, "ledger": str(self.ledger_path), **told}

    def span(self, span: Span) -> str:
        return span.long if self.inline else span.short

    def send(self, name: str, data: Mapping[str, Any] | None = None, **fields: Any) -> str:
        """Send an event of the case, committed when the call returns."""
        return str(send_event(Event(f"{self.place}/{name}", self.fill(data or {}), **fields)))

    def drop(self, name: str) -> None:
        """Send an event in a transaction that is rolled back."""
        with transaction.atomic(using=self.alias):
            self.send(name)
            transaction.set_rollback(True, using=self.alias)

    def pass_time(self, long: str) -> None:
        """Let time pass, where it can be made to."""
        if self.inline:
            advance(long)

    def settle(self) -> None:
        """Let everything happen that is due, where that is our task."""
        if self.inline:
            drain()

    # --- what is seen -------------------------------------------------------------------------------

    @property
    def ledger_path(self) -> Path:
        return self.folder / self.place

    def traces(self, name: str | None = None) -> list[list[Any]]:
        """Return what steps noted: name and more, without the run."""
        lines = [line[1:] for line in ledger.read(self.ledger_path)]
        return [line for line in lines if name is None or line[0] == name]

    def runs(self, name: str | None = None) -> Any:
        """Return the runs of the case, or of one of its programs."""
        ids = [each.id for key, each in self.workflows.items() if name is None or key == name]
        handlers = [] if name else [f"{each}/on-{end}" for each in ids for end in ("failure", "cancel")]
        return Run.objects.using(self.alias).filter(workflow__in=[*ids, *handlers])

    def events(self, name: str) -> Any:
        return StoredEvent.objects.using(self.alias).filter(name=f"{self.place}/{name}")

    def attempts(self) -> Any:
        runs = self.runs().values_list("id", flat=True)
        return Attempt.objects.using(self.alias).filter(run_id__in=list(runs)).order_by("id")

    def steps(self, handle: RunHandle) -> Any:
        return Step.objects.using(self.alias).filter(run_id=handle.id).order_by("id")

    def until(self, condition: Callable[[], Any], what: str = "") -> Any:
        """Return the first true value of the condition."""
        self.settle()
        return wait_until(condition, 0.5 if self.inline else PATIENCE, what or "what the case waits for")

    def wait_for(self, waits_for: str, handle: RunHandle | None = None, count: int = 1) -> None:
        """Return when so many runs wait for it."""
        runs = self.runs() if handle is None else self.runs().filter(id=handle.id)
        waiting = runs.filter(status="waiting", waits_for=waits_for)
        try:
            self.until(lambda: waiting.count() >= count, f"{count} runs waiting for {waits_for}")
        except TimeoutError as error:
            raise AssertionError(f"{error}; {list(runs.values_list('status', 'waits_for'))}") from error

    def wait_for_ends(self, count: int, name: str | None = None) -> list[Run]:
        """Return the runs when so many have ended."""
        ended = self.runs(name).filter(status__in=ENDED).order_by("id")
        self.until(lambda: ended.count() >= count, f"the end of {count} runs")
        return list(ended.select_related("result"))

    def wait_for_trace(self, name: str, count: int = 1) -> None:
        """Return when a step has left so many traces."""
        self.until(lambda: len(self.traces(name)) >= count, f"{count} traces of {name!r}")

    def result(self, handle: RunHandle | None = None) -> Any:
        """Return the run's output in time."""
        self.settle()
        return (handle or self.handles[0]).result(0 if self.inline else PATIENCE)

    def error(self, handle: RunHandle | None = None) -> dict[str, Any]:
        """Return what is known of the error that the run failed with."""
        with pytest.raises(RunFailed) as caught:
            self.result(handle)
        told: dict[str, Any] = caught.value.details["told"]
        return told

    def reason(self, handle: RunHandle | None = None) -> str:
        """Return why the run was cancelled."""
        with pytest.raises(RunCancelled) as caught:
            self.result(handle)
        return str(caught.value.details["reason"])


def play(stage: Stage) -> None:
    """Play a case and judge it."""
    case = stage.case
    if case.play is not None:
        case.play(stage)
        return
    stage.start()
    for name, data in case.sends:
        if stage.inline:
            stage.settle()
        stage.until(lambda: stage.runs("main").filter(status="waiting").exists(), "the run to wait")
        stage.send(name, data)
    for length in [case.passes] if isinstance(case.passes, str) else case.passes:
        stage.pass_time(length)
    judge(stage)


def judge(stage: Stage) -> None:
    """Compare the end of the first run with what the case says."""
    case = stage.case
    if case.fails:
        assert stage.error()["code"] == case.fails
    elif case.cancelled:
        assert case.cancelled in stage.reason()
    elif case.result is not NOTHING:
        assert stage.result() == case.result
    else:
        stage.result()
    if case.holds is not None:
        case.holds(stage)
