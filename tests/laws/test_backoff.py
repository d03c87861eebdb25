"""The delays between attempts: the table, a policy of the step's own, or what the error asks for."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from durable_django import RetryAfterError
from durable_django.engine.handle import RunHandle
from durable_django.models import Attempt, Run, RunStatus
from durable_django.testing import advance

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


def test_the_default_is_four_retries_by_the_table_with_jitter(declare: Any) -> None:
    """Unless told otherwise five attempts are made, after the table's delays plus 0 to 30 s."""

    @declare()
    def failing(ctx: Any) -> Any:
        yield ctx.step.run("bad", fail)

    run_out(failing.start())
    delays = read_delays()
    assert [base <= delay <= base + 30.01 for base, delay in zip(TABLE, delays, strict=False)] == [True] * 4


def test_the_table_is_followed_to_its_end(declare: Any) -> None:
    """Ten delays grow from 15 s to 2 h and then stay there; jitter differs between them."""

    @declare()
    def failing(ctx: Any) -> Any:
        yield ctx.step.run("bad", fail, retries=11)

    run_out(failing.start())
    delays = read_delays()
    jitters = [delay - base for base, delay in zip(TABLE, delays, strict=True)]
    assert all(-0.01 <= jitter <= 30.01 for jitter in jitters)
    assert len({round(jitter, 1) for jitter in jitters}) > 5


@pytest.mark.parametrize(
    ("backoff", "expected"),
    [
        ("90s", [90, 90, 90]),
        (["2s", "1m"], [2, 60, 60]),
        (lambda attempt: timedelta(seconds=10 * (attempt + 1)), [10, 20, 30]),
        ("1ms", [1, 1, 1]),
        ("48h", [86_400] * 3),
    ],
)
def test_a_step_has_a_backoff_of_its_own(declare: Any, backoff: Any, expected: list[int]) -> None:
    """A duration, a list or a function sets the delays exactly, within 1 s and 24 h."""

    @declare(retries=0, backoff="1h")
    def failing(ctx: Any) -> Any:
        yield ctx.step.run("bad", fail, retries=3, backoff=backoff)

    run_out(failing.start())
    assert read_delays() == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize(
    ("when", "seconds"),
    [
        (lambda: 90_000, 90),
        (lambda: "2m", 120),
        (lambda: timedelta(hours=1), 3_600),
        (lambda: timezone.now() + timedelta(minutes=5), 300),
        (lambda: 0, 1),
        (lambda: "30 days", 86_400),
    ],
)
def test_retry_after_sets_the_next_delay(declare: Any, when: Callable[[], Any], seconds: int) -> None:
    """RetryAfterError takes milliseconds, text, a timedelta or a date, and counts as an attempt."""

    @declare()
    def failing(ctx: Any) -> Any:
        yield ctx.step.run("busy", lambda: fail(RetryAfterError("later", when())), retries=1)

    failing.start()
    assert read_delays() == pytest.approx([seconds], abs=2)
    advance("25h")
    assert Run.objects.get().status == RunStatus.FAILED


def test_an_unusable_retry_after_falls_back_to_the_table(declare: Any) -> None:
    """A date without zone in RetryAfterError is not taken for a crash; the table's delay is used."""

    @declare()
    def failing(ctx: Any) -> Any:
        yield ctx.step.run(
            "busy", lambda: fail(RetryAfterError("later", timezone.now().replace(tzinfo=None)))
        )

    failing.start()
    assert 15 <= read_delays()[0] <= 45.01
