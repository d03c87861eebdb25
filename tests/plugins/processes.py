"""Fixtures for tests that start, stop and kill real workers."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import celery
import pytest

from tests.plugins.services import Broker
from tests.processes import ROOT, SESSION_NAME, TAIL, Process

if TYPE_CHECKING:  # so that it can be used before Django is set up
    from tests.plugins.store import Store

QUIET = ("--without-gossip", "--without-mingle", "--without-heartbeat")


@dataclass
class Project:
    """A Django project on the test's database; its processes are killed when the test ends."""

    env: dict[str, str]
    folder: Path
    queue: str
    started: list[Process] = field(default_factory=list)

    def start(self, name: str, *arguments: str, env: dict[str, str] | None = None) -> Process:
        """Start ``python <arguments>``."""
        output = self.folder / f"{name}-{len(self.started)}.log"
        process = Process(name, arguments, {**self.env, **(env or {})}, output)
        self.started.append(process)
        return process

    def start_manage(self, *arguments: str, **kwargs: Any) -> Process:
        """Start ``manage.py <arguments>``."""
        return self.start(arguments[0], "-m", "django", *arguments, **kwargs)

    def start_worker(self, concurrency: int = 2, pool: str = "prefork", **kwargs: Any) -> Process:
        """Start a Celery worker on the test's queue and return when it consumes."""
        if pool == "threads" and celery.VERSION < (5, 7):
            pytest.skip("Celery before 5.7 lets a threads pool look at Redis again only after seconds")
        options = [
            "-Q",
            self.queue,
            "-n",
            f"{uuid.uuid4().hex}@%h",
            "-P",
            pool,
            "-c",
            str(concurrency),
            *QUIET,
        ]
        process = self.start(
            "worker", "-m", "celery", "-A", "tests.celery_app", "worker", "-l", "INFO", *options, **kwargs
        )
        process.wait_for(" ready.")
        return process

    def start_beat(self, **kwargs: Any) -> Process:
        """Start Celery beat and return when it has begun."""
        schedule = str(self.folder / "schedule")
        process = self.start(
            "beat", "-m", "celery", "-A", "tests.celery_app", "beat", "-l", "INFO", "-s", schedule, **kwargs
        )
        process.wait_for("beat: Starting")
        return process


@pytest.fixture
def project(store: Store, tmp_path: Path) -> Iterator[Callable[..., Project]]:
    """A factory of projects on the test's database; all of their processes are killed when the test ends."""
    from tests.databases import end_sessions_of_processes

    made: list[Project] = []

    def make(broker: Broker | None = None, apps: Sequence[str] = (), **durable: Any) -> Project:
        queue = broker.queue if broker else "durable"
        env = make_env(store.url, broker, apps, durable)
        made.append(Project(env, tmp_path, queue))
        return made[-1]

    yield make
    started = [process for one in made for process in one.started]
    for process in started:
        process.kill()
        print(f"--- {process.name} ({process.returncode}) ---\n{process.text[-TAIL:]}")
    if started:
        end_sessions_of_processes(store.alias)


def make_env(url: str, broker: Broker | None, apps: Sequence[str], durable: dict[str, Any]) -> dict[str, str]:
    """Return the environment of processes on the database at ``url``."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST_", "TEST_"))}
    env = {
        **kept,
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
        "DJANGO_SETTINGS_MODULE": "tests.settings_process",
        "DATABASE_URL": url,
        "PGAPPNAME": SESSION_NAME,
        "TEST_APPS": ",".join(apps),
        "TEST_DURABLE": json.dumps(durable),
    }
    if broker:
        env |= {"TEST_BROKER_URL": broker.url, "TEST_QUEUE": broker.queue}
    return env
