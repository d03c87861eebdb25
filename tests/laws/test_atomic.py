"""Atomic steps: the function's rows and the memo are one commit, so both exist exactly once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.db.models import F

from durable_django import StepError
from durable_django.models import Run, Step
from durable_django.testing import advance
from tests.app.models import Effect
from tests.plugins.store import Store


class Killed(KeyboardInterrupt):
    """Stands for SIGKILL: no handler of the engine runs after it."""


def write(n: int) -> int:
    Effect.objects.create(key="written", n=n)
    return n


@pytest.fixture
def writer(declare: Any) -> Callable[..., Any]:
    """Return a workflow of one atomic step, which calls the hooks before and after it writes its row."""

    def build(*, before: Any = None, after: Any = None, **options: Any) -> Any:
        @declare(**options)
        def writer(ctx: Any) -> Any:
            def work() -> int:
                if before:
                    before()
                value = write(1)
                if after:
                    after()
                return value

            value = yield ctx.step.run("write", work, atomic=True)
            yield ctx.step.sleep("nap", "1m")
            return value

        return writer

    return build


def bump_token() -> None:
    """Let another worker take the run over, as the sweep and a claim do."""
    Run.objects.update(token=F("token") + 1)


def test_rows_and_memo_come_together(writer: Any) -> None:
    """After the step its rows and its memo are there, and replay does not run it again."""
    handle = writer().start()
    assert (Effect.objects.count(), Step.objects.get(name="write").status) == (1, "completed")
    advance("2m")
    assert handle.result(0) == 1
    assert Effect.objects.count() == 1


def test_a_crash_inside_leaves_neither(writer: Any) -> None:
    """A worker that dies in the function leaves no row and no memo; the next attempt writes both once."""
    deaths = [Killed()]

    def die() -> None:
        if deaths:
            raise deaths.pop()

    with pytest.raises(Killed):
        writer(after=die).start()
    assert (Effect.objects.count(), Step.objects.count()) == (0, 0)
    assert Run.objects.get().status == "running"
    advance("1m")
    advance("2m")
    assert Run.objects.get().status == "completed"
    assert Effect.objects.count() == 1


def test_an_exception_rolls_back_and_is_retried(writer: Any) -> None:
    """A function that raises takes its rows with it; the next attempt starts clean."""
    failures = [ValueError("once")]

    def fail() -> None:
        if failures:
            raise failures.pop()

    handle = writer(after=fail, backoff="1s").start()
    assert Effect.objects.count() == 0
    advance("2s")
    advance("2m")
    assert handle.result(0) == 1
    assert Effect.objects.count() == 1


@pytest.mark.parametrize("store", ["postgres"], indirect=True)  # on SQLite it excludes every other writer
def test_a_lost_lease_rolls_the_rows_back(store: Store, writer: Any, elsewhere: Any) -> None:
    """If the run is taken over meanwhile, the function's rows vanish and the run is untouched."""
    handle = writer(before=lambda: elsewhere(bump_token)).start()
    run = Run.objects.get()
    assert (run.status, run.token) == ("running", 2)
    assert (Effect.objects.count(), Step.objects.count()) == (0, 0)
    assert handle.status == "running"


def test_a_lease_lost_just_before_rolls_the_rows_back(writer: Any) -> None:
    """The fence is checked by the statement that writes the memo, on both stores."""
    writer(after=bump_token).start()
    assert (Effect.objects.count(), Step.objects.count()) == (0, 0)


def test_a_swallowed_database_error_is_the_steps_failure(store: Store, declare: Any) -> None:
    """A function that hides an error which broke its transaction fails; no half of its rows is kept."""

    @declare(retries=0)
    def careless(ctx: Any) -> Any:
        def work() -> None:
            write(1)
            try:
                with transaction.atomic(using=store.alias, savepoint=False):
                    raise IntegrityError("broken")
            except IntegrityError:
                return

        try:
            yield ctx.step.run("write", work, atomic=True)
        except StepError as error:
            return error.name

    assert careless.start().result(0) == "TransactionManagementError"
    assert Effect.objects.count() == 0


def test_a_result_without_a_form_rolls_the_rows_back(store: Store, declare: Any) -> None:
    """If the result cannot be stored, the rows are not stored either."""

    @declare()
    def odd(ctx: Any) -> Any:
        def work() -> Any:
            write(1)
            return object()

        yield ctx.step.run("odd", work, atomic=True)

    assert odd.start().status == "failed"
    assert Effect.objects.count() == 0


def test_a_plain_step_keeps_its_rows_when_it_fails(declare: Any) -> None:
    """Without atomic a step's rows are its own affair: they are there although the step failed."""

    @declare(retries=0)
    def plain(ctx: Any) -> Any:
        def work() -> None:
            write(1)
            raise ValueError

        yield ctx.step.run("write", work)

    plain.start()
    assert Effect.objects.count() == 1
