"""Failed steps: attempts, delays, policies, and what the workflow sees at the end."""

from __future__ import annotations

from typing import Any

import pytest

from durable_django import NonRetriableError, StepError, workflow
from durable_django.engine.handle import RunHandle
from durable_django.engine.identity import get_owner
from durable_django.exceptions import RunFailed
from durable_django.models import Attempt, Run, Step
from durable_django.testing import advance, drain

TABLE = (15, 30, 60, 120, 300, 600, 1_200, 2_400, 3_600, 7_200, 7_200)
ALWAYS: Any = ZeroDivisionError("division by zero")


def fail(error: BaseException = ALWAYS) -> Any:
    raise error


def read_delays() -> list[float]:
    """The delays that followed the failed attempts, in seconds, oldest first."""
    attempts = Attempt.objects.order_by("id")
    return [(each.retry_at - each.ended_at).total_seconds() for each in attempts if each.retry_at]


def run_out(handle: RunHandle) -> RunHandle:
    for _ in range(25):
        advance("25h")
    assert handle.status in ("failed", "completed")
    return handle


@pytest.mark.parametrize("retries", [0, 1, 20])
def test_a_step_has_so_many_retries(declare: Any, retries: int) -> None:
    """A step with n retries is attempted n + 1 times, then its StepError fails the run."""
    calls: list[int] = []

    @declare()
    def failing(ctx: Any) -> Any:
        yield ctx.step.run("bad", lambda: calls.append(1) or 1 / 0, retries=retries)

    handle = run_out(failing.start())
    assert len(calls) == retries + 1
    with pytest.raises(RunFailed) as caught:
        handle.result(0)
    told = caught.value.details["told"]
    assert (told["name"], told["message"], told["step"]) == ("ZeroDivisionError", "division by zero", "bad")
    assert Attempt.objects.count() == retries + 1


def test_a_non_retriable_error_in_a_step_can_be_caught(declare: Any) -> None:
    """NonRetriableError ends the step at its first attempt; the workflow sees it as a memoized StepError."""
    calls: list[int] = []

    @declare()
    def caught(ctx: Any) -> Any:
        try:
            yield ctx.step.run("no", lambda: calls.append(1) or fail(NonRetriableError("pointless")))
        except StepError as error:
            yield ctx.step.sleep("nap", "1m")
            return [error.name, error.message, error.step, "pointless" in error.stack]

    handle = caught.start()
    advance("2m")
    assert handle.result(0) == ["NonRetriableError", "pointless", "no", True]
    assert calls == [1]


def test_a_caught_step_error_is_the_same_on_replay(declare: Any) -> None:
    """A failed step is not run again on replay: its error is raised again, and the workflow goes on."""
    seen: list[tuple[Any, ...]] = []

    @declare()
    def caught(ctx: Any) -> Any:
        try:
            yield ctx.step.run("bad", fail, retries=0)
        except StepError as error:
            seen.append((error.name, error.message, error.stack, error.index, str(error)))
        yield ctx.step.sleep("nap", "1m")
        return "on"

    handle = caught.start()
    advance("2m")
    assert handle.result(0) == "on"
    assert seen[0] == seen[1]
    assert Step.objects.get(name="bad").status == "failed"


def test_each_failed_attempt_is_kept(declare: Any) -> None:
    """An attempt keeps its number, error type, message, traceback, worker, start and end."""

    @declare()
    def failing(ctx: Any) -> Any:
        yield ctx.step.run("bad", fail, retries=2)

    run_out(failing.start())
    kept = list(Attempt.objects.order_by("id"))
    assert [each.number for each in kept] == [0, 1, 2]
    assert {(each.name, each.index, each.error_type, each.message) for each in kept} == {
        ("bad", 0, "ZeroDivisionError", "division by zero")
    }
    assert all("raise error" in each.traceback and each.worker == get_owner() for each in kept)
    assert all(each.started_at <= each.ended_at for each in kept)
    assert [each.retry_at is None for each in kept] == [False, False, True]


def test_attempt_counts_within_the_step(declare: Any) -> None:
    """ctx.attempt is the number of failed attempts of the step that runs, and 0 again for the next step."""
    seen: list[tuple[str, int]] = []

    @declare()
    def counting(ctx: Any) -> Any:
        def work(name: str) -> None:
            seen.append((name, ctx.attempt))
            if len(seen) < 3:
                raise ValueError(name)

        yield ctx.step.run("a", work, "a")
        yield ctx.step.run("b", work, "b")

    handle = run_out(counting.start())
    assert handle.status == "completed"
    assert seen == [("a", 0), ("a", 1), ("a", 2), ("b", 0)]


def test_a_retry_waits_and_comes_back_by_the_tick(declare: Any) -> None:
    """Between attempts the run holds no worker; it goes on when the retry is due, not before."""
    calls: list[int] = []

    @declare()
    def flaky(ctx: Any) -> Any:
        return (
            yield ctx.step.run(
                "flaky", lambda: calls.append(1) or (fail() if len(calls) < 2 else "ok"), backoff="1m"
            )
        )

    handle = flaky.start()
    run = Run.objects.get()
    assert (run.status, run.waits_for, run.owner, run.crash_count) == ("waiting", "retry", "", 0)
    advance("59s")
    assert handle.status == "waiting"
    advance("2s")
    assert handle.result(0) == "ok"
    assert drain() == 0


@pytest.mark.parametrize("retries", [-1, 21, 1.5, True])
def test_unusable_retries_fail_the_run_at_once(declare: Any, retries: Any) -> None:
    """A step with retries outside 0 to 20 fails the run before its function is called."""
    calls: list[int] = []

    @declare()
    def wrong(ctx: Any) -> Any:
        try:
            yield ctx.step.run("x", lambda: calls.append(1), retries=retries)
        except Exception:
            return "swallowed"

    with pytest.raises(RunFailed) as caught:
        wrong.start().result(0)
    assert caught.value.details["told"]["code"] == "definition_invalid"
    assert calls == []


def test_workflow_retries_are_those_of_its_steps(store: Any) -> None:
    """A workflow's retries hold for each of its steps that does not say otherwise."""

    @workflow(id="w", retries=1, backoff="1m")
    def plain(ctx: Any) -> None:
        ctx.step.run("bad", fail)

    run_out(plain.start())
    assert Attempt.objects.count() == 2
