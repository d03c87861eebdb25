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
from durable_django.engine.desk import WORTH, Desk, Ticket
from durable_django.models import Run, Step
from durable_django.store.base import StepWrite
from durable_django.store.checkpoint import write_steps
from durable_django.store.claim import claim_runs
from durable_django.store.connections import refresh_connections
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


@pytest.fixture(params=[1, 2], ids=["one leader", "two leaders"])
def desk(store: Store, request: pytest.FixtureRequest) -> Iterator[Desk[StepWrite]]:
    leaders: int = request.param
    desk = Desk(
        lambda steps: write_steps(store.alias, steps, wait=False), begin=refresh_connections, leaders=leaders
    )
    yield desk
    together = threading.Barrier(leaders)

    def leave() -> None:
        together.wait(60)  # so that each thread has one of these calls
        connections.close_all()

    for each in [desk.threads.submit(leave) for _ in range(leaders)]:
        each.result(60)
    desk.threads.shutdown()


alone = pytest.mark.parametrize("desk", [1], indirect=True, ids=["one leader"])
side_by_side = pytest.mark.parametrize("desk", [2], indirect=True, ids=["two leaders"])


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


def wrap_on_thread(desk: Desk[StepWrite], store: Store, wrapper: Any) -> None:
    """Let a wrapper see the statements of the desk's own thread."""
    desk.threads.submit(lambda: connections[store.alias].execute_wrappers.append(wrapper)).result(60)


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


@alone
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
            go.wait(60)
        return execute(sql, *rest)

    def lead() -> bool:
        with connections[store.alias].execute_wrapper(hold):
            return desk.write(build(runs[0]))

    def follow(run_id: UUID) -> bool:
        began.wait(60)
        return desk.write(build(run_id))

    wrap_on_thread(desk, store, hold)

    calls = [lambda run_id=run_id: follow(run_id) for run_id in runs[1:]]
    release = functools.partial(release_when_all_wait, desk, go)
    assert run_together([lead, release, *calls]) == [True] * (MANY + 1)
    assert len(statements) == 2
    assert Step.objects.count() == MANY


@alone
@pytest.mark.parametrize("error", ["disk full", "bug", "ctrl-c"])
def test_nobody_is_left_waiting_when_the_leader_fails(
    store: Store, desk: Desk[StepWrite], runs: list[UUID], error: str
) -> None:
    """If the commit of a batch raises, whatever it is, every writer is told and the desk works on."""
    began, go = threading.Event(), threading.Event()

    def hold(execute: Any, sql: str, *rest: Any) -> Any:
        began.set()
        go.wait(60)
        return execute(sql, *rest)

    def break_it(execute: Any, sql: str, *rest: Any) -> Any:
        if error == "disk full":
            raise OperationalError("could not extend file") from DiskFull()
        raise ValueError("bug") if error == "bug" else KeyboardInterrupt

    def lead() -> Any:
        with connections[store.alias].execute_wrapper(hold):
            return desk.write(build(runs[0]))

    def follow(run_id: UUID) -> Any:
        began.wait(60)
        try:
            return desk.write(build(run_id))
        except Exception as failure:
            return type(failure)

    wrap_on_thread(desk, store, break_it)
    calls = [lambda run_id=run_id: follow(run_id) for run_id in runs[1:]]
    release = functools.partial(release_when_all_wait, desk, go)
    first, _, *rest = run_together([lead, release, *calls])
    assert first is True
    assert len(rest) == MANY - 1
    assert all(isinstance(each, type) and issubclass(each, Exception) for each in rest)
    desk.threads.submit(lambda: connections[store.alias].execute_wrappers.clear()).result(60)
    assert write_from_threads(desk, [build(runs[1])]) == [True]
    assert Run.objects.filter(status="running").count() == MANY


def test_a_loop_that_closed_does_not_hold_up_the_others(desk: Desk[StepWrite], runs: list[UUID]) -> None:
    """A coroutine whose loop ended before its commit does no harm to those who wait with it."""
    loop = asyncio.new_event_loop()
    tickets = [Ticket(build(runs[0]), threading.Lock()), Ticket(build(runs[2]), loop.create_future())]
    tickets[0].waiter.acquire()
    assert desk._join(tickets[0])
    assert not desk._join(tickets[1])
    loop.close()
    desk._lead(on=False)
    assert [ticket.written for ticket in tickets] == [True, True]
    assert not tickets[0].waiter.locked()
    assert write_from_threads(desk, [build(runs[1])]) == [True]


@alone
def test_a_leader_that_is_ended_leaves_nobody_behind(
    store: Store, desk: Desk[StepWrite], runs: list[UUID]
) -> None:
    """If the thread of a writer that commits is ended, those who came meanwhile are committed all the same."""
    began, go = threading.Event(), threading.Event()

    def end(execute: Any, sql: str, *rest: Any) -> Any:
        began.set()
        go.wait(60)
        raise KeyboardInterrupt

    def lead() -> Any:
        with connections[store.alias].execute_wrapper(end):
            try:
                return desk.write(build(runs[0]))
            except KeyboardInterrupt:
                return "ended"

    def follow(run_id: UUID) -> bool:
        began.wait(60)
        return desk.write(build(run_id))

    calls = [lambda run_id=run_id: follow(run_id) for run_id in runs[1:]]
    release = functools.partial(release_when_all_wait, desk, go)
    assert run_together([lead, release, *calls]) == ["ended", True, *[True] * (MANY - 1)]


@side_by_side
@pytest.mark.parametrize("store", ["postgres"], indirect=True)
@pytest.mark.parametrize("others", [WORTH - 1, WORTH])
def test_a_second_commit_goes_past_one_that_lasts(
    store: Store, desk: Desk[StepWrite], runs: list[UUID], others: int
) -> None:
    """While a commit waits, so many others are worth one beside it; fewer are committed when it is over."""
    began, go = threading.Event(), threading.Event()
    done: list[UUID] = []

    def hold(execute: Any, sql: str, *rest: Any) -> Any:
        began.set()
        go.wait(60)
        return execute(sql, *rest)

    def lead() -> bool:
        with connections[store.alias].execute_wrapper(hold):
            return desk.write(build(runs[0]))

    def follow(run_id: UUID) -> bool:
        began.wait(60)
        written = desk.write(build(run_id))
        done.append(run_id)
        return written

    def watch() -> bool:
        began.wait(60)
        if others < WORTH:
            wait_until(lambda: len(desk._waiting) == others)
        else:
            wait_until(lambda: len(done) == others)
        early = len(done)
        go.set()
        return early == (others if others == WORTH else 0)

    calls = [lambda run_id=run_id: follow(run_id) for run_id in runs[1 : others + 1]]
    assert run_together([lead, watch, *calls]) == [True] * (others + 2)


@side_by_side
@pytest.mark.parametrize("kind", list(WRITERS))
def test_nobody_is_left_when_the_last_leader_leaves(
    desk: Desk[StepWrite], runs: list[UUID], kind: str
) -> None:
    """However commits overlap, each write of a crowd that comes again and again is committed once."""
    for turn in range(20):
        assert WRITERS[kind](desk, [build(run_id, name=f"s{turn}") for run_id in runs]) == [True] * MANY
    assert Step.objects.count() == 20 * MANY
    wait_until(lambda: desk._leading == 0)
    assert not desk._waiting


def test_sqlite_has_one_leader(store: Store) -> None:
    """Where the database takes one writer a second commit would only wait for the first."""
    assert make_desk(store.alias)._leaders == (1 if store.vendor == "sqlite" else 2)
