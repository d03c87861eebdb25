"""Fixtures for tests that watch runs in real processes from outside."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from celery import Celery, current_app
from celery._state import set_default_app
from django.db import transaction

from durable_django.define.registry import Registry
from durable_django.define.workflow import Workflow
from durable_django.dispatch.publisher import close_publisher
from durable_django.engine.receive import send_events
from durable_django.models import Attempt, Run, RunStatus
from durable_django.models.run import ENDED
from tests import ledger
from tests.plugins.services import Broker
from tests.plugins.store import Store
from tests.waiting import wait_until

LAB = "tests.process_app"


@dataclass
class Lab:
    """Sends the events of ``tests.process_app`` and sees what its runs leave behind."""

    store: Store
    folder: Path

    @property
    def ledger_path(self) -> Path:
        return self.folder / "ledger"

    @property
    def gate_path(self) -> Path:
        return self.folder / "gate"

    def send(self, name: str, **data: Any) -> None:
        """Send an event, committed when the call returns."""
        self.send_burst([(name, data)])

    def send_burst(self, events: Sequence[tuple[str, dict[str, Any]]]) -> None:
        """Send events, committed together when the call returns."""
        paths = {"ledger": str(self.ledger_path), "gate": str(self.gate_path)}
        with transaction.atomic(using=self.store.alias):
            send_events([{"name": f"process/{name}", "data": {**paths, **data}} for name, data in events])

    def open_gate(self) -> None:
        self.gate_path.touch()

    def read(self, step: str | None = None) -> list[list[Any]]:
        """Return the traces so far, of one step or of all: run, step, what else was noted."""
        return [line for line in ledger.read(self.ledger_path) if step is None or line[1] == step]

    def wait_for(self, step: str, lines: int = 1, timeout: float = 60.0) -> None:
        """Return when the step has left so many traces."""
        self._wait(lambda: len(self.read(step)) >= lines, timeout, f"{lines} traces of {step!r}")

    def _wait(self, condition: Callable[[], bool], timeout: float, what: str) -> None:
        try:
            wait_until(condition, timeout, what)
        except TimeoutError as error:
            runs = list(self.runs.values("status", "waits_for", "owner", "crash_count", "wake_at")[:3])
            attempts = list(Attempt.objects.using(self.store.alias).values("name", "message")[:3])
            raise AssertionError(f"{error}; {runs=} {attempts=}") from error

    @property
    def runs(self) -> Any:
        return Run.objects.using(self.store.alias)

    def wait_for_end(self, number: int = 1, timeout: float = 60.0) -> list[Run]:
        """Return the runs when ``number`` of them have ended; each must have completed."""
        ended = self.runs.filter(status__in=ENDED)
        self._wait(lambda: ended.count() >= number, timeout, f"the end of {number} runs")
        runs = list(self.runs.select_related("result").order_by("id"))
        assert {run.status for run in runs} == {RunStatus.COMPLETED}
        assert len(runs) == number
        return runs


@pytest.fixture
def lab(store: Store, registry: Registry, tmp_path: Path) -> Lab:
    """The workflows of ``tests.process_app``, known to this process until the test ends."""
    from tests.process_app import workflows

    for each in vars(workflows).values():
        if isinstance(each, Workflow):
            registry.add(each)
    return Lab(store, tmp_path)


@pytest.fixture
def use_celery(configure: Callable[..., None]) -> Iterator[Callable[..., Celery]]:
    """Let this process send its nudges to a broker: ``use_celery(url, queue)``."""
    before = current_app._get_current_object()
    made: list[Celery] = []

    def use(broker: Broker | str, queue: str = "durable", **conf: Any) -> Celery:
        url, queue = (broker.url, broker.queue) if isinstance(broker, Broker) else (broker, queue)
        app = Celery("client", broker=url, set_as_current=True)
        app.conf.update(conf)
        set_default_app(app)
        made.append(app)
        configure(DISPATCHER="celery", DEFAULT_QUEUE=queue)
        return app

    yield use
    close_publisher()
    for app in made:
        app.close()
    before.set_current()
    set_default_app(before)
