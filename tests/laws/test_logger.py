"""ctx.logger: one line for each executed segment, silence while memoized code is replayed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest

from durable_django import send_event, workflow
from durable_django.testing import advance, drain
from tests.plugins.store import Store

Declare = Callable[..., Any]


@pytest.fixture
def lines(caplog: Any) -> Callable[[], list[str]]:
    """The messages that workflows have written so far."""
    caplog.set_level(logging.DEBUG, logger="durable_django.workflow")

    def read() -> list[str]:
        return [each.getMessage() for each in records(caplog)]

    return read


def records(caplog: Any) -> list[logging.LogRecord]:
    return [each for each in caplog.records if each.name.startswith("durable_django.workflow")]


def test_each_segment_writes_its_line_once(store: Store, declare: Declare, lines: Any) -> None:
    """However often the run parks and is replayed, each line between two steps comes once, in order."""

    @declare()
    def talk(ctx: Any) -> Any:
        ctx.logger.info("start")
        yield ctx.step.run("one", lambda: ctx.logger.info("in one"))
        ctx.logger.info("after one")
        yield ctx.step.sleep("nap", "1h")
        ctx.logger.info("after nap")
        yield ctx.step.run("two", lambda: ctx.logger.info("in two"))
        ctx.logger.info("after two")
        yield ctx.step.wait_for_event("answer", event="app/answer", timeout="1d")
        ctx.logger.info("after answer")
        yield ctx.step.sleep("again", "1h")
        ctx.logger.info("end")

    talk.start()
    drain()
    assert lines() == ["start", "in one", "after one"]
    advance("2h")
    assert lines()[3:] == ["after nap", "in two", "after two"]
    send_event("app/answer")
    drain()
    assert lines()[6:] == ["after answer"]
    advance("2h")
    assert lines()[7:] == ["end"]


def test_a_line_before_a_step_that_is_retried_comes_once(store: Store, declare: Declare, lines: Any) -> None:
    """The last memo of a replay may be one that is due, not done: what stands before it has run already."""
    tries: list[int] = []

    def flaky(ctx: Any) -> None:
        tries.append(1)
        ctx.logger.info("try %d", len(tries))
        if len(tries) < 3:
            raise ValueError("not yet")

    @declare(retries=4)
    def retried(ctx: Any) -> Any:
        ctx.logger.info("before")
        yield ctx.step.run("flaky", flaky, ctx)
        ctx.logger.info("after")

    retried.start()
    drain()
    advance("2m")
    advance("5m")
    assert lines() == ["before", "try 1", "try 2", "try 3", "after"]


def test_a_segment_that_fails_repeats_its_own_line_only(store: Store, declare: Declare, lines: Any) -> None:
    """An attempt of the code between steps is executed again, so its line comes again; older lines do not."""
    tries: list[int] = []

    @declare(retries=2)
    def shaky(ctx: Any) -> Any:
        ctx.logger.info("start")
        yield ctx.step.run("one", lambda: 1)
        ctx.logger.info("segment")
        tries.append(1)
        if len(tries) == 1:
            raise ValueError("once")

    shaky.start()
    drain()
    advance("5m")
    assert lines() == ["start", "segment", "segment"]


def test_a_step_that_the_code_has_lost_does_not_mute_the_rest(
    store: Store, declare: Declare, lines: Any
) -> None:
    """A memo that is never asked for keeps lines back only until the first call that has none."""
    old = True

    @declare()
    def changed(ctx: Any) -> Any:
        if old:
            yield ctx.step.run("lost", lambda: 1)
        yield ctx.step.sleep("nap", "1h")
        yield ctx.step.run("new", lambda: 2)
        ctx.logger.info("after new")

    changed.start()
    drain()
    old = False
    advance("2h")
    assert lines() == ["after new"]


def test_branches_that_wait_do_not_mute_each_other(store: Store, lines: Any) -> None:
    """A branch whose answer has come writes its next line, while the others still wait."""

    @workflow(id="forked-def")
    def forked_def(ctx: Any) -> Any:
        def branch(number: int) -> None:
            ctx.step.wait_for_event("answer", event=f"app/answer{number}", timeout="1d")
            ctx.logger.info("answered %d", number)
            ctx.step.run("note", lambda: None)

        ctx.group.parallel([lambda: branch(0), lambda: branch(1), lambda: branch(2)])
        ctx.logger.info("joined")
        ctx.step.sleep("nap", "1h")
        ctx.logger.info("end")

    forked_def.start()
    drain()
    for number in (1, 2, 0):
        send_event(f"app/answer{number}")
        drain()
    advance("2h")
    assert lines() == ["answered 1", "answered 2", "answered 0", "joined", "end"]


def test_gathered_tasks_are_silent_in_later_replays(store: Store, lines: Any) -> None:
    """Lines of tasks that were joined do not come again when the run is resumed after the join."""

    @workflow(id="gathered")
    async def gathered(ctx: Any) -> Any:
        async def branch(number: int) -> None:
            await ctx.step.run(f"step-{number}", lambda: None)
            ctx.logger.info("done %d", number)

        await asyncio.gather(branch(0), branch(1))
        for number in range(3):
            await ctx.step.sleep(f"nap-{number}", "1h")
        ctx.logger.info("end")

    gathered.start()
    drain()
    for _ in range(3):
        advance("61m")
    assert sorted(lines()) == ["done 0", "done 1", "end"]


def test_records_say_where_they_come_from(store: Store, declare: Declare, caplog: Any) -> None:
    """Each record has run, workflow, attempt and step in its fields, and the place of the author's line."""
    caplog.set_level(logging.INFO, logger="durable_django.workflow")

    def speak(ctx: Any) -> None:
        ctx.logger.info("inside", extra={"own": 1})

    @declare()
    def placed(ctx: Any) -> Any:
        ctx.logger.info("outside")
        yield ctx.step.run("speak", speak, ctx)

    run_id = placed.start().id
    drain()
    outside, inside = records(caplog)
    assert (inside.run_id, inside.workflow, inside.attempt, inside.step) == (run_id, "placed", 0, "speak")
    assert (outside.step, inside.own) == ("", 1)
    assert inside.funcName == "speak"
    assert inside.filename == "test_logger.py"


def test_levels_are_those_of_the_logger(store: Store, declare: Declare, caplog: Any) -> None:
    """A level that is off stays off outside a replay too."""
    caplog.set_level(logging.WARNING, logger="durable_django.workflow")
    seen: list[bool] = []

    @declare()
    def quiet(ctx: Any) -> Any:
        seen.extend([ctx.logger.isEnabledFor(logging.INFO), ctx.logger.isEnabledFor(logging.WARNING)])
        ctx.logger.info("unheard")
        return None
        yield

    quiet.start()
    drain()
    assert seen == [False, True]
    assert records(caplog) == []
