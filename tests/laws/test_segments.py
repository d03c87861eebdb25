"""Code between steps: each segment has a budget of attempts of its own, and its errors are kept."""

from __future__ import annotations

from typing import Any

import pytest

from durable_django import NonRetriableError, RetryAfterError, StepError
from durable_django.exceptions import RunFailed
from durable_django.models import Attempt, Run
from durable_django.testing import advance


def test_each_segment_has_a_budget_of_its_own(declare: Any) -> None:
    """The code before, between and after steps may each fail as often as the workflow has retries."""
    failures = {"before": 2, "between": 2, "after": 2}
    calls: list[str] = []
    attempts: list[tuple[str, int]] = []

    @declare(retries=2, backoff="1s")
    def segments(ctx: Any) -> Any:
        def stumble(place: str) -> None:
            attempts.append((place, ctx.attempt))
            if failures[place]:
                failures[place] -= 1
                raise ValueError(place)

        if not calls:
            stumble("before")
        yield ctx.step.run("one", calls.append, "one")
        if len(calls) < 2:
            stumble("between")
        yield ctx.step.run("two", calls.append, "two")
        stumble("after")
        return "done"

    handle = segments.start()
    for _ in range(6):
        advance("2s")
    assert handle.result(0) == "done"
    assert calls == ["one", "two"]
    assert attempts == [(place, n) for place in ("before", "between", "after") for n in range(3)]
    kept = Attempt.objects.order_by("id").values_list("name", "number", "error_type", "message")
    assert list(kept) == [
        ("", n, "ValueError", place) for place in ("before", "between", "after") for n in range(2)
    ]


def test_a_segment_out_of_attempts_fails_the_run(declare: Any) -> None:
    """After its last attempt the segment's error is the run's, and every attempt is kept."""

    @declare(retries=1, backoff="1s")
    def failing(ctx: Any) -> Any:
        yield ctx.step.run("one", lambda: 1)
        raise KeyError("lost")

    handle = failing.start()
    assert handle.status == "waiting"
    advance("2s")
    with pytest.raises(RunFailed, match="KeyError: 'lost'"):
        handle.result(0)
    assert [each.number for each in Attempt.objects.order_by("id")] == [0, 1]
    assert Attempt.objects.last().retry_at is None


def test_an_error_after_a_caught_step_error_is_retried(declare: Any) -> None:
    """A workflow that turns a StepError into one of its own has raised it: its segment is retried."""

    @declare(retries=1, backoff="1s")
    def translate(ctx: Any) -> Any:
        try:
            yield ctx.step.run("bad", lambda: 1 / 0, retries=0)
        except StepError as error:
            raise LookupError("translated") from error

    handle = translate.start()
    assert handle.status == "waiting"
    advance("2s")
    with pytest.raises(RunFailed, match="LookupError: translated"):
        handle.result(0)


@pytest.mark.parametrize(
    "error", [NonRetriableError("no"), ExceptionGroup("many", [NonRetriableError("no")])]
)
def test_a_non_retriable_error_outside_steps_fails_the_run(declare: Any, error: Exception) -> None:
    """NonRetriableError in a workflow, also inside a group, fails the run at its first attempt."""

    @declare()
    def refusing(ctx: Any) -> Any:
        raise error

    assert refusing.start().status == "failed"
    assert Attempt.objects.count() == 1


def test_an_uncaught_step_error_fails_the_run_at_once(declare: Any) -> None:
    """A StepError that nobody catches ends the run without another attempt of the segment."""

    @declare()
    def uncaught(ctx: Any) -> Any:
        yield ctx.step.run("bad", lambda: 1 / 0, retries=0)

    assert uncaught.start().status == "failed"
    assert Attempt.objects.count() == 1


def test_retry_after_holds_for_segments(declare: Any) -> None:
    """RetryAfterError in a workflow sets when its segment is tried again."""

    @declare(retries=1)
    def later(ctx: Any) -> Any:
        raise RetryAfterError("later", "10m")

    later.start()
    kept = Attempt.objects.get()
    assert (kept.retry_at - kept.ended_at).total_seconds() == pytest.approx(600, abs=0.01)
    assert Run.objects.get().waits_for == "retry"


class Hostile(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text for you")

    __repr__ = __str__


def make_chain(length: int) -> Exception:
    error: Exception = ValueError("root")
    for number in range(length):
        newer = ValueError(str(number))
        newer.__cause__ = error
        error = newer
    return error


@pytest.mark.parametrize("where", ["step", "segment"])
@pytest.mark.parametrize(
    "error",
    [
        Hostile("x"),
        ValueError("m" * 50_000_000),
        ValueError("nul \x00 half \ud800 end"),
        make_chain(5_000),
        ExceptionGroup("group", [ValueError(str(n)) for n in range(1_000)]),
        type("N" * 5_000, (Exception,), {})("long name"),
    ],
    ids=["str-raises", "huge", "nul", "chain", "group", "name"],
)
def test_any_exception_is_stored_bounded(declare: Any, error: Exception, where: str) -> None:
    """An exception that cannot be shown, is huge, or holds what a database refuses is still kept, bounded."""

    @declare(retries=0)
    def hostile(ctx: Any) -> Any:
        def work() -> None:
            raise error

        if where == "segment":
            work()
        yield ctx.step.run("bad", work)

    handle = hostile.start()
    with pytest.raises(RunFailed):
        handle.result(0)
    kept = Attempt.objects.get()
    assert len(kept.message) <= 8_192
    assert len(kept.traceback) <= 65_536
    assert 0 < len(kept.error_type) <= 255
    assert kept.traceback
