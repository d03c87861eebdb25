"""A step's timeout: an attempt that is too long fails with a code, and what it returns late is discarded."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from durable_django import StepError, step
from durable_django.exceptions import InvalidDefinition, RunFailed
from durable_django.models import Attempt, Step
from durable_django.testing import advance
from tests.app.models import Effect
from tests.plugins.store import Store


def test_a_coroutine_is_cancelled_at_its_deadline(declare: Any, store: Store) -> None:
    """A coroutine that never ends is cancelled, and its attempt recorded as step_timeout."""
    seen: list[str] = []

    async def hang() -> None:
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    @declare(retries=0)
    def slow(ctx: Any) -> Any:
        try:
            yield ctx.step.run("hang", hang, timeout="20ms")
        except StepError as error:
            return error.error_code

    assert slow.start().result(60) == "step_timeout"
    assert seen == ["cancelled"]
    assert Attempt.objects.using(store.alias).get().error_type == "StepTimeout"


def test_a_late_result_is_discarded(declare: Any, store: Store) -> None:
    """What a plain function returns after the deadline counts as a failed attempt, which is retried."""
    results = iter(["late", "in time"])
    pause = threading.Event()

    def work() -> str:
        result = next(results)
        pause.wait(1.1 if result == "late" else 0)
        return result

    @declare(retries=1)
    def slow(ctx: Any) -> Any:
        return (yield ctx.step.run("work", work, timeout="1s"))

    handle = slow.start()
    assert Attempt.objects.using(store.alias).get().error_type == "StepTimeout"
    advance("5m")
    assert handle.result(0) == "in time"


def test_its_own_timeout_error_is_not_ours(declare: Any) -> None:
    """A TimeoutError that the function raises itself before the deadline stays what it is."""

    async def fail() -> None:
        async with asyncio.timeout(0.001):
            await asyncio.get_running_loop().create_future()

    @declare(retries=0)
    def slow(ctx: Any) -> Any:
        try:
            yield ctx.step.run("fail", fail, timeout="1m")
        except StepError as error:
            return [error.name, error.error_code]

    assert slow.start().result(60) == ["TimeoutError", ""]


def test_an_atomic_step_that_is_late_leaves_no_rows(declare: Any, store: Store) -> None:
    """The rows of an atomic attempt that took too long are rolled back."""
    pause = threading.Event()

    def work() -> None:
        Effect.objects.create(key="late")
        pause.wait(0.06)

    @declare(retries=0)
    def slow(ctx: Any) -> Any:
        try:
            yield ctx.step.run("work", work, atomic=True, timeout="30ms")
        except StepError as error:
            return error.error_code

    assert slow.start().result(60) == "step_timeout"
    assert not Effect.objects.using(store.alias).exists()


@pytest.mark.parametrize("store", ["postgres"], indirect=True)
def test_postgres_ends_the_statement_of_an_atomic_step(declare: Any, store: Store) -> None:
    """A statement that would go on for a minute is ended at the deadline; the limit dies with the step."""

    def work() -> None:
        with store.connection.cursor() as handle:
            handle.execute("SELECT pg_sleep(60)")

    def read_limit() -> str:
        with store.connection.cursor() as handle:
            handle.execute("SHOW statement_timeout")
            return str(handle.fetchone()[0])

    @declare(retries=0)
    def slow(ctx: Any) -> Any:
        try:
            yield ctx.step.run("work", work, atomic=True, timeout="100ms")
        except StepError as error:
            return [error.error_code, (yield ctx.step.run("limit", read_limit))]

    assert slow.start().result(60) == ["step_timeout", "0"]


@pytest.mark.parametrize("atomic", [False, True])
def test_a_step_in_time_is_undisturbed(declare: Any, store: Store, atomic: bool) -> None:
    """A timeout that is not reached changes nothing."""

    @declare()
    def quick(ctx: Any) -> Any:
        yield ctx.step.run("work", lambda: Effect.objects.create(key="a").key, atomic=atomic, timeout="1m")
        return "done"

    assert quick.start().result(60) == "done"
    assert Effect.objects.using(store.alias).count() == 1
    assert Step.objects.using(store.alias).get().status == "completed"


@pytest.mark.parametrize("timeout", [0, "soon", -5])
def test_a_timeout_that_leaves_no_time_is_refused(declare: Any, timeout: Any) -> None:
    """A timeout of zero, or one that cannot be read, fails the run at once, and @step where it stands."""

    @declare()
    def wrong(ctx: Any) -> Any:
        yield ctx.step.run("work", int, timeout=timeout)

    with pytest.raises(RunFailed):
        wrong.start().result(60)
    with pytest.raises(InvalidDefinition):
        step(timeout=timeout)(lambda: None)


def test_a_declared_step_has_its_timeout(declare: Any) -> None:
    """@step(timeout=) holds wherever the step is called."""

    @step(timeout="20ms", retries=0)
    async def hang() -> None:
        await asyncio.get_running_loop().create_future()

    @declare()
    def slow(ctx: Any) -> Any:
        try:
            yield hang()
        except StepError as error:
            return error.error_code

    assert slow.start().result(60) == "step_timeout"
