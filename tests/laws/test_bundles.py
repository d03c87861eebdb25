"""The runs of one message: executed one after another, and none of them waits behind a long one."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import DatabaseError, connections

from durable_django import tasks, workflow
from durable_django.dispatch import bundles
from durable_django.dispatch.kinship import kinship
from durable_django.dispatch.message import Message, build_body
from durable_django.engine.nudge import Nudge
from durable_django.models import Run
from tests.plugins.store import Store
from tests.waiting import wait_until

announced: list[Nudge] = []


class Witness:
    """A dispatcher that keeps what it is told."""

    def nudge(self, nudges: Sequence[Nudge]) -> None:
        announced.extend(nudges)


@pytest.fixture
def message(store: Store, configure: Any) -> Iterator[dict[str, Any]]:
    """Three queued runs in one message; the first waits at a gate if it is told to."""
    configure(DISPATCHER=f"{__name__}.Witness")
    entered.clear()
    opened.clear()

    @workflow(id="flow")
    def flow(ctx: Any) -> int:
        return int(ctx.step.run("work", work, ctx.event.data["n"]))

    for n in range(3):
        flow.start({"n": n})
    announced.clear()
    ids = tuple(Run.objects.order_by("id").values_list("id", flat=True))
    yield build_body(Message(ids, "side"))
    opened.set()


entered, opened = threading.Event(), threading.Event()


def work(n: int) -> int:
    if n == 0:
        entered.set()
        assert opened.wait(60)
    return n


@contextmanager
def executing(message: dict[str, Any]) -> Iterator[None]:
    """Execute the message on another thread meanwhile, as a pool of threads does."""

    def execute() -> None:
        try:
            tasks.run(message)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(execute)
        try:
            yield
        finally:
            opened.set()
        future.result(60)


def list_statuses() -> list[str]:
    return list(Run.objects.order_by("id").values_list("status", flat=True))


def test_the_runs_of_a_message_follow_one_another(
    message: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of them are executed by the one task, and nothing is announced again."""
    monkeypatch.setattr(bundles, "PATIENCE_SECONDS", 3_600.0)
    opened.set()
    tasks.run(message)
    assert list_statuses() == ["completed"] * 3
    assert announced == []


def test_what_waits_behind_a_long_run_is_announced_again(message: dict[str, Any]) -> None:
    """Each run that has not begun is announced for its queue, and left to whoever hears of it."""
    ids = list(Run.objects.order_by("id").values_list("id", flat=True))
    with executing(message):
        wait_until(lambda: len(announced) == 2, what="what is left to be announced")
        assert [(nudge.run_id, nudge.queue) for nudge in announced] == [(ids[1], "side"), (ids[2], "side")]
        assert list_statuses() == ["running", "queued", "queued"]
    assert list_statuses() == ["completed", "queued", "queued"]
    tasks.run(message)
    assert list_statuses() == ["completed"] * 3


def test_a_worker_that_stops_begins_no_further_run(
    message: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rest is announced at once, for another worker."""
    monkeypatch.setattr(bundles, "PATIENCE_SECONDS", 3_600.0)
    with executing(message):
        assert entered.wait(60)
        kinship.stopping = True
    kinship.stopping = False
    assert list_statuses()[1:] == ["queued", "queued"]
    assert len(announced) == 2


def test_what_is_left_behind_a_fault_is_announced(
    message: dict[str, Any], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault of the database ends the task; the runs behind the one that met it are not left to the tick."""
    monkeypatch.setattr(bundles, "PATIENCE_SECONDS", 3_600.0)

    def fail(*_: Any) -> None:
        raise DatabaseError("the disk is full")

    with store.connection.execute_wrapper(fail), pytest.raises(DatabaseError, match="the disk is full"):
        tasks.run(message)
    assert list_statuses() == ["queued"] * 3
    assert len(announced) == 2
