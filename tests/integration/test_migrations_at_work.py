"""A migration is applied, taken back and applied again while workers work (F71)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from django.apps import apps
from django.core.management import call_command

from tests.plugins.lab import LAB, Lab
from tests.plugins.processes import Project
from tests.plugins.store import Store

LONGEST = "1s"
"""The longest that anybody may wait for a lock of a migration."""
RUNS = 100


class Probe:
    """A session that locks a row of every table again and again, and never waits longer than LONGEST for a lock."""

    def __init__(self, store: Store) -> None:
        tables = [model._meta.db_table for model in apps.get_app_config("durable_django").get_models()]
        self._asked = [f"SELECT 1 FROM {table} LIMIT 1 FOR UPDATE" for table in tables]
        self._url = store.url
        self._enough = threading.Event()
        self.rounds = 0
        self.waited_too_long: list[str] = []
        self._thread = threading.Thread(target=self._work)

    def __enter__(self) -> Probe:
        self._thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._enough.set()
        self._thread.join()

    def _work(self) -> None:
        with psycopg.connect(self._url, autocommit=True) as session:
            session.execute(f"SET lock_timeout = '{LONGEST}'")
            while not self._enough.is_set():
                for asked in self._asked:
                    try:
                        session.execute(asked)
                    except psycopg.errors.LockNotAvailable:
                        self.waited_too_long.append(asked)
                self.rounds += 1


@pytest.mark.process
@pytest.mark.timeout(240)
@pytest.mark.parametrize("store", ["postgres"], indirect=True)
def test_a_migration_and_its_way_back_hold_up_nobody(lab: Lab, project: Callable[..., Project]) -> None:
    """No session waits a second for a lock, workers live through it, and every event becomes a run that ends."""
    worker = project(apps=[LAB]).start_manage("durable", "worker")
    for _ in range(RUNS):
        lab.send("steps", steps=3)
    lab.wait_for("step", 10)
    with Probe(lab.store) as probe:
        try:
            migrate(lab.store, "0001")
            for _ in range(RUNS):
                lab.send("steps", steps=3)  # stored; what routes them is missing for the moment
        finally:
            migrate(lab.store)
    assert probe.rounds > 0
    assert probe.waited_too_long == []
    lab.wait_for_end(2 * RUNS, timeout=120)
    assert worker.returncode is None


def migrate(store: Store, *target: str) -> None:
    call_command("migrate", "durable_django", *target, database=store.alias, verbosity=0)
