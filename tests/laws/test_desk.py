"""The desk where checkpoints of many runs are committed together: each gets its own outcome."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from django.db import DataError, OperationalError, connections

from durable_django import workflow
from durable_django.engine.checkpoint import make_desk
from durable_django.engine.desk import Desk, Ticket
from durable_django.models import Run, Step
from durable_django.store.base import StepWrite
from durable_django.store.claim import claim_runs
from tests.plugins.store import Store
from tests.quiet import QUIET
from tests.threads import run_together
from tests.waiting import wait_until

MANY = 24


@pytest.fixture
def runs(store: Store, configure: Any) -> list[UUID]:
    """Runs that are owned under token 1."""
    configure(DISPATCHER=QUIET)

    @workflow(id="owned")
    def owned(ctx: Any) -> None:
        return None

    for _ in range(MANY):
        owned.start()
    claimed = claim_runs(store.alias, owner="me", lease=60, queue="durable", limit=MANY)
    return [each.id for each in claimed]


@pytest.fixture
def desk(store: Store) -> Iterator[Desk[StepWrite]]:
    desk = make_desk(store.alias)
    yield desk
    if desk._leader is not None:
        desk._leader.submit(connections.close_all).result(10)
        desk._leader.shutdown()


class DiskFull(Exception):
    sqlstate = "53100"  # not one of those after which a statement is repeated


def build(run_id: UUID, *, token: int = 1, name: str = "x", attempt: int = 0) -> StepWrite:
    return StepWrite(
        run_id=run_id,
        token=token,
        name=name,
        index=0,
        kind="run",
        status="completed",
        output="1",
        attempt=attempt,
    )


def write_from_threads(desk: Desk[StepWrite], steps: list[StepWrite]) -> list[Any]:
    def write(step: StepWrite) -> Any:
        try:
            return desk.write(step)
        except Exception as error:
            return error

    return run_together([lambda step=step: write(step) for step in steps])


def release_when_all_wait(desk: Desk[StepWrite], go: threading.Event) -> bool:
    wait_until(lambda: len(desk._waiting) == MANY - 1)
    go.set()
    return True


def write_from_loop(desk: Desk[StepWrite], steps: list[StepWrite]) -> list[Any]:
    async def main() -> list[Any]:
        calls = (desk.awrite(step) for step in steps)
        return await asyncio.wait_for(asyncio.gather(*calls, return_exceptions=True), 30)

    return asyncio.run(main())


WRITERS = {"threads": write_from_threads, "coroutines": write_from_loop}


@pytest.mark.parametrize("kind", list(WRITERS))
def test_each_writer_gets_its_own_outcome(desk: Desk[StepWrite], runs: list[UUID], kind: str) -> None:
    """Of many who write at once, those who own their run are written, those who lost it are told so."""
    steps = [build(run_id, token=1 + number % 2) for number, run_id in enumerate(runs)]
    outcomes = WRITERS[kind](desk, steps)
    assert outcomes == [step.token == 1 for step in steps]
    assert set(Step.objects.values_list("run_id", flat=True)) == set(runs[::2])


@pytest.mark.parametrize("kind", list(WRITERS))
@pytest.mark.parametrize("store", ["postgres"], indirect=True)  # SQLite takes any number
def test_one_bad_row_fails_alone(desk: Desk[StepWrite], runs: list[UUID], kind: str) -> None:
    """A row that the database refuses fails its own writer; its neighbours are written."""
    steps = [build(run_id, attempt=10**6 if number == 5 else 0) for number, run_id in enumerate(runs)]
    outcomes = WRITERS[kind](desk, steps)
    assert isinstance(outcomes.pop(5), DataError)
    assert outcomes == [True] * (MANY - 1)
    assert Step.objects.count() == MANY - 1


def test_threads_and_coroutines_share_a_desk(desk: Desk[StepWrite], runs: list[UUID]) -> None:
    """Both kinds of writer meet at one desk, whoever leads."""
    half = MANY // 2
    first, second = run_together(
        [
            lambda: write_from_loop(desk, [build(run_id) for run_id in runs[:half]]),
            lambda: write_from_threads(desk, [build(run_id) for run_id in runs[half:]]),
        ]
    )
    assert first + second == [True] * MANY


def test_writers_that_come_meanwhile_are_committed_together(
    store: Store, desk: Desk[StepWrite], runs: list[UUID]
) -> None:
    """Those who come while a commit is under way wait for one commit, not for one each."""
    began, go = threading.Event(), threading.Event()
    statements: list[str] = []

    def hold(execute: Any, sql: str, *rest: Any) -> Any:
        if "INSERT INTO durable_django_step" in sql:
            statements.append(sql)
            began.set()
            go.wait(20)
        return execute(sql, *rest)

    def lead() -> bool:
        with connections[store.alias].execute_wrapper(hold):
            return desk.write(build(runs[0]))

    def follow(run_id: UUID) -> bool:
        began.wait(20)
        with connections[store.alias].execute_wrapper(hold):
            return desk.write(build(run_id))

    calls = [lambda run_id=run_id: follow(run_id) for run_id in runs[1:]]
    release = functools.partial(release_when_all_wait, desk, go)
    assert run_together([lead, release, *calls]) == [True] * (MANY + 1)
    assert len(statements) == (2 if store.vendor == "postgresql" else MANY)
    assert Step.objects.count() == MANY


@pytest.mark.parametrize("error", ["disk full", "bug", "ctrl-c"])
def test_nobody_is_left_waiting_when_the_leader_fails(
    store: Store, desk: Desk[StepWrite], runs: list[UUID], error: str
) -> None:
    """If the commit of a batch raises, whatever it is, every writer is told and the desk works on."""
    began, go = threading.Event(), threading.Event()

    def hold(execute: Any, sql: str, *rest: Any) -> Any:
        began.set()
        go.wait(20)
        return execute(sql, *rest)

    def break_it(execute: Any, sql: str, *rest: Any) -> Any:
        if error == "disk full":
            raise OperationalError("could not extend file") from DiskFull()
        raise ValueError("bug") if error == "bug" else KeyboardInterrupt

    def lead() -> Any:
        with connections[store.alias].execute_wrapper(hold):
            return desk.write(build(runs[0]))

    def follow(run_id: UUID) -> Any:
        began.wait(20)
        with connections[store.alias].execute_wrapper(break_it):
            try:
                return desk.write(build(run_id))
            except BaseException as failure:
                return type(failure)

    calls = [lambda run_id=run_id: follow(run_id) for run_id in runs[1:]]
    release = functools.partial(release_when_all_wait, desk, go)
    first, _, *rest = run_together([lead, release, *calls])
    assert first is True
    assert len(rest) == MANY - 1
    assert all(isinstance(each, type) and issubclass(each, BaseException) for each in rest)
    assert write_from_threads(desk, [build(runs[1])]) == [True]
    assert Run.objects.filter(status="running").count() == MANY


def test_a_loop_that_closed_does_not_hold_up_the_others(desk: Desk[StepWrite], runs: list[UUID]) -> None:
    """A coroutine whose loop ended before its commit does no harm to those who wait with it."""

    def closed() -> None:
        raise RuntimeError("Event loop is closed")

    loop = asyncio.new_event_loop()
    tickets = [
        Ticket(build(runs[0]), closed, closed),
        Ticket(build(runs[2]), closed, closed, loop.create_future()),
    ]
    assert desk._join(tickets[0])
    assert not desk._join(tickets[1])
    loop.close()
    desk._lead()
    assert all(ticket.done for ticket in tickets)
    assert write_from_threads(desk, [build(runs[1])]) == [True]
