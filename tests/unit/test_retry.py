"""Retry decisions: policy + attempt + error → when, or give up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable_django import exceptions
from durable_django.engine.retry import LONGEST, SHORTEST, GiveUp, Retry, RetryPolicy, decide
from durable_django.exceptions import (
    DurableError,
    InvalidDefinition,
    InvalidDuration,
    NonRetriableError,
    RetryAfterError,
    StepError,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def judge(
    error: BaseException, attempt: int = 0, policy: RetryPolicy | None = None, jitter: float = 0.0
) -> GiveUp | Retry:
    return decide(policy or RetryPolicy(), attempt, error, now=NOW, jitter=lambda: jitter)


def delay(error: BaseException, attempt: int = 0, **policy: Any) -> float:
    verdict = judge(error, attempt, RetryPolicy(**policy))
    assert isinstance(verdict, Retry)
    return verdict.delay.total_seconds()


def test_default_table() -> None:
    """Delays follow the documented table, then stay at two hours."""
    delays = [delay(ValueError(), attempt, retries=20) for attempt in range(12)]
    assert delays == [15, 30, 60, 120, 300, 600, 1_200, 2_400, 3_600, 7_200, 7_200, 7_200]


def test_jitter_adds_up_to_30_seconds_to_the_table_only() -> None:
    """Jitter spreads table delays and leaves chosen delays alone."""
    assert judge(ValueError(), jitter=1.0) == Retry(timedelta(seconds=45))
    assert judge(ValueError(), policy=RetryPolicy(backoff="30s"), jitter=1.0) == Retry(timedelta(seconds=30))
    assert judge(RetryAfterError("later", "30s"), jitter=1.0) == Retry(timedelta(seconds=30))


@pytest.mark.parametrize("retries", [0, 1, 4, 20])
def test_attempts_end_with_the_budget(retries: int) -> None:
    """n retries make n + 1 attempts, also for RetryAfterError."""
    for error in (ValueError(), RetryAfterError("later", "1m")):
        verdicts = [judge(error, attempt, RetryPolicy(retries)) for attempt in range(retries + 1)]
        assert all(isinstance(verdict, Retry) for verdict in verdicts[:-1])
        assert verdicts[-1] == GiveUp(f"attempt {retries + 1} of {retries + 1} failed")


@pytest.mark.parametrize(
    ("backoff", "expected"),
    [
        ("30s", [30, 30, 30]),
        (5_000, [5, 5, 5]),
        (timedelta(minutes=1), [60, 60, 60]),
        (["5s", 10_000, timedelta(minutes=1)], [5, 10, 60, 60]),
        (lambda attempt: f"{2 ** (attempt + 1)}s", [2, 4, 8]),
        ("100ms", [1]),
        (0, [1]),
        ("-5s", [1]),
        ("30d", [86_400]),
    ],
)
def test_chosen_backoff(backoff: Any, expected: list[float]) -> None:
    """A constant, a sequence or a function sets the delay, clamped to 1 s … 24 h."""
    assert [delay(ValueError(), n, retries=20, backoff=backoff) for n in range(len(expected))] == expected


def explode(attempt: int) -> str:
    raise RuntimeError("boom")


@pytest.mark.parametrize("backoff", [explode, lambda attempt: "soon", lambda attempt: None, lambda: "1s"])
def test_broken_backoff_function_falls_back_to_the_table(backoff: Any) -> None:
    """A backoff function that fails costs its delay, not the run, and the reason is kept."""
    verdict = judge(ValueError(), policy=RetryPolicy(backoff=backoff))
    assert isinstance(verdict, Retry)
    assert verdict.delay == timedelta(seconds=15)
    assert "backoff(0)" in verdict.reason


@pytest.mark.parametrize("retries", [-1, 21, True, 1.5, "4", None])
def test_retries_out_of_range_are_refused(retries: Any) -> None:
    """retries is an int from 0 to 20."""
    with pytest.raises(InvalidDefinition, match="retries"):
        RetryPolicy(retries)


@pytest.mark.parametrize("backoff", [[], (), object(), {"a": 1}, b""])
def test_backoff_of_another_form_is_refused(backoff: Any) -> None:
    """backoff is a duration, a sequence or a function; the refusal comes at definition."""
    with pytest.raises(InvalidDefinition, match="backoff"):
        RetryPolicy(backoff=backoff)


@pytest.mark.parametrize("backoff", ["soon", ["1s", "soon"], float("nan"), True])
def test_unreadable_backoff_is_refused(backoff: Any) -> None:
    """Durations in backoff are read at definition."""
    with pytest.raises(InvalidDuration):
        RetryPolicy(backoff=backoff)


@pytest.mark.parametrize(
    ("when", "seconds"),
    [
        ("10m", 600),
        (5_000, 5),
        (timedelta(hours=2), 7_200),
        (NOW + timedelta(minutes=3), 180),
        (NOW - timedelta(days=1), 1),
        (datetime(9998, 1, 1, tzinfo=UTC), 86_400),
        ("300d", 86_400),
        (0, 1),
    ],
)
def test_retry_after_sets_the_delay(when: Any, seconds: float) -> None:
    """RetryAfterError takes relative and absolute times, clamped to 1 s … 24 h."""
    assert delay(RetryAfterError("later", when)) == seconds


class Unprintable:
    def __str__(self) -> str:
        raise RuntimeError("no text")


@pytest.mark.parametrize(
    "when",
    [
        "soon",
        datetime(2026, 1, 1),
        datetime.max.replace(tzinfo=UTC),
        float("nan"),
        None,
        Unprintable(),
        "9" * 99,
    ],
)
def test_unusable_retry_after_is_an_ordinary_failure(when: Any) -> None:
    """An unreadable `when` gives the table's delay, and the reason is kept."""
    verdict = judge(RetryAfterError("later", when))
    assert isinstance(verdict, Retry)
    assert verdict.delay == timedelta(seconds=15)
    assert "unusable" in verdict.reason


class Forgetful(RetryAfterError):
    def __init__(self) -> None:
        self.bare = True


def test_retry_after_subclass_without_init_is_an_ordinary_failure() -> None:
    """A subclass that skips our __init__ has no `when` and still gets the table's delay."""
    assert delay(Forgetful()) == 15


FINAL = """Unserializable OutputTooLarge StepNested StepUsage StepKindChanged InvalidDuration NaiveDatetime
InvalidExpression MatchUnbound InvalidEvent EventTooLarge TooManyEvents StepLimitReached StateTooLarge
InvalidInstant StepError NonRetriableError""".split()


@pytest.mark.parametrize("name", FINAL)
def test_errors_that_cannot_succeed_are_not_retried(name: str) -> None:
    """Each coded error that no attempt can mend ends the retries at once, and so do its subclasses."""
    kind = getattr(exceptions, name)
    for error in (kind(), type("Mine", (kind,), {})()):
        verdict = judge(error)
        assert isinstance(verdict, GiveUp)
        assert kind.code in verdict.reason


def test_other_coded_errors_are_retried() -> None:
    """An error of ours that may pass is retried like any other."""
    assert delay(DurableError("x")) == 15
    assert delay(exceptions.UnknownWorkflow(id="x", near="")) == 15


def test_groups_are_judged_by_their_members() -> None:
    """A group with one final member is final; otherwise a member's RetryAfterError counts."""
    final = ExceptionGroup("g", [ValueError(), ExceptionGroup("h", [NonRetriableError("no")])])
    assert isinstance(judge(final), GiveUp)
    assert delay(ExceptionGroup("g", [ValueError(), RetryAfterError("later", "2m")])) == 120
    nested = ExceptionGroup("g", [ValueError()])
    for _ in range(5_000):
        nested = ExceptionGroup("g", [nested])
    assert delay(nested) == 15


@given(
    st.integers(0, 25),
    st.integers(0, 20),
    st.floats(0, 1),
    st.none() | st.timedeltas(max_value=timedelta(days=366)),
    st.sampled_from([ValueError("x"), RetryAfterError("x", "3h"), StepError("x")]),
)
def test_every_delay_is_clamped(
    attempt: int, retries: int, jitter: float, backoff: Any, error: Exception
) -> None:
    """Whatever goes in, the answer is to give up or a delay from 1 s to 24 h."""
    verdict = judge(error, attempt, RetryPolicy(retries, backoff), jitter)
    assert isinstance(verdict, GiveUp) or SHORTEST <= verdict.delay <= LONGEST
    assert isinstance(verdict, GiveUp) or attempt < retries
