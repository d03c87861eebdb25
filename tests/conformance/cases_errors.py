"""§3: errors, retries, limits of values, handlers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from durable_django import NonRetriableError, RetryAfterError, StepError
from tests.conformance.case import Span, case
from tests.conformance.stage import Stage
from tests.conformance.traces import count, echo, fail, note, stumble, trace

DELAYS = [15, 30, 60, 120, 300, 600, 1200, 2400, 3600, 7200, 7200]

# --- budgets --------------------------------------------------------------------------------------


def held_default(stage: Stage) -> None:
    assert [each.number for each in stage.attempts()] == list(range(5))
    assert len(stage.traces("bad")) == 5


@case(
    "3",
    "retries-default",
    "retries default 4 (5 attempts)",
    passes=["3m"] * 4,
    result="ValueError",
    holds=held_default,
    engines=("inline",),
)
def retries_default(ctx: Any) -> Any:  # inline: the delays are minutes
    try:
        yield ctx.step.run("bad", stumble, ctx.event.data, ctx.run_id, "bad", 99)
    except StepError as error:
        return error.name


def play_delays(stage: Stage) -> None:
    handle = stage.start()
    for _ in DELAYS:
        stage.pass_time("3h")
    told = stage.error(handle)
    assert told["name"] == "ValueError"
    waited = [(each.retry_at - each.ended_at).total_seconds() for each in stage.attempts() if each.retry_at]
    assert len(waited) == len(DELAYS)
    assert all(least - 0.01 <= each <= least + 30.01 for each, least in zip(waited, DELAYS, strict=True))


@case(
    "3",
    "delays",
    "15 s, 30 s, 1 m, 2 m, 5 m, 10 m, 20 m, 40 m, 1 h, 2 h, then 2 h; plus 0–30 s",
    play=play_delays,
    engines=("inline",),
)
def delays(ctx: Any) -> Any:  # inline: hours pass
    yield ctx.step.run("bad", fail, retries=len(DELAYS))


@case("3", "retries-none", "0…20", result=["ValueError", 1])
def retries_none(ctx: Any) -> Any:
    try:
        yield ctx.step.run("bad", stumble, ctx.event.data, ctx.run_id, "bad", 99, retries=0)
    except StepError as error:
        return [error.name, count(ctx.event.data, ctx.run_id, "bad")]


def held_budgets(stage: Stage) -> None:
    assert [each[0] for each in stage.traces()] == ["one", "one", "two", "two", "segment", "segment"]
    assert [(each.name, each.number) for each in stage.attempts()] == [("one", 0), ("two", 0), ("", 0)]


@case(
    "3",
    "budgets",
    "per step and per function segment, each with its own budget; completed steps do not run again",
    options=lambda place, make: {"retries": 1, "backoff": "1s"},
    passes=["2s"] * 3,
    result="segment",
    holds=held_budgets,
    sample=True,
)
def budgets(ctx: Any) -> Any:
    yield ctx.step.run("one", stumble, ctx.event.data, ctx.run_id, "one", 1)
    yield ctx.step.run("two", stumble, ctx.event.data, ctx.run_id, "two", 1)
    return stumble(ctx.event.data, ctx.run_id, "segment", 1)


def held_kept(stage: Stage) -> None:
    [kept] = stage.attempts()
    assert (kept.name, kept.number, kept.error_type, kept.message) == ("flaky", 0, "ValueError", "first try")
    assert "stumble" in kept.traceback
    assert kept.worker
    assert kept.started_at <= kept.ended_at
    assert 0.99 <= (kept.retry_at - kept.ended_at).total_seconds() <= 1.01


@case(
    "3",
    "attempts-kept",
    "every failed attempt is kept: number, error type, message, traceback, worker, start, end",
    passes="2s",
    result="flaky",
    holds=held_kept,
    sample=True,
)
def attempts_kept(ctx: Any) -> Any:
    return (
        yield ctx.step.run(
            "flaky", stumble, ctx.event.data, ctx.run_id, "flaky", 1, "first try", retries=2, backoff="1s"
        )
    )


# --- errors with a meaning ------------------------------------------------------------------------


def retry_after(data: dict[str, Any], run: str, when: Any) -> int:
    note(data, run, "tried")
    if count(data, run, "tried") < 2:
        raise RetryAfterError("later", when)
    return 2


def play_after(stage: Stage) -> None:
    length = timedelta(hours=1) if stage.inline else timedelta(seconds=2)
    text = "1h" if stage.inline else "2s"
    forms = [datetime.now(UTC) + length, text, length // timedelta(milliseconds=1), length]
    for form in forms:
        handle = stage.start(when=form)
        stage.pass_time("59m")
        stage.wait_for("retry", handle)
        stage.pass_time("2m")
        assert stage.result(handle) == 2
    lengths = [each.retry_at - each.ended_at for each in stage.attempts()]
    assert all(abs(each - length) < timedelta(seconds=0.05) for each in lengths[1:])
    assert [each.number for each in stage.attempts()] == [0, 0, 0, 0]


@case(
    "3",
    "retry-after",
    "RetryAfterError(msg, when): replaces the delay, counts as an attempt",
    play=play_after,
)
def after(ctx: Any) -> Any:
    return (yield ctx.step.run("later", retry_after, ctx.event.data, ctx.run_id, ctx.event.data["when"]))


def refuse() -> None:
    raise NonRetriableError("no use")


def held_once(stage: Stage) -> None:
    assert stage.attempts().count() == 1


@case(
    "3",
    "non-retriable-step",
    "NonRetriableError in a step: memoized, raised as StepError (catchable)",
    result="no use",
    holds=held_once,
    sample=True,
)
def non_retriable_step(ctx: Any) -> Any:
    try:
        yield ctx.step.run("bad", refuse)
    except StepError as error:
        return error.message


@case("3", "non-retriable", "outside: run FAILED", fails="non_retriable", holds=held_once)
def non_retriable(ctx: Any) -> Any:
    yield trace(ctx, "one")
    refuse()


@case(
    "3",
    "step-error",
    "memoized {name, message, stack} and raised as StepError, which it may catch and go on",
    data={"nap": Span("1h")},
    passes="2h",
    result=["ValueError", "broken", True, "went on"],
    holds=held_once,
)
def step_error(ctx: Any) -> Any:
    try:
        yield ctx.step.run("bad", fail, retries=0)
    except StepError as error:
        told = [error.name, error.message, "fail" in error.stack]
    yield ctx.step.sleep("nap", ctx.event.data["nap"])
    return [*told, (yield ctx.step.run("on", echo, "went on"))]


@case("3", "step-error-uncaught", "uncaught StepError: FAILED at once", fails="step_failed", holds=held_once)
def step_error_uncaught(ctx: Any) -> Any:
    yield ctx.step.run("bad", fail, retries=0)


def play_clamp(stage: Stage) -> None:
    for backoff, least in (("1ms", 1), ("300 days", 86_400)):
        handle = stage.start(backoff=backoff)
        stage.wait_for("retry", handle)
        [kept] = stage.attempts().filter(run_id=handle.id)[:1]
        assert abs((kept.retry_at - kept.ended_at).total_seconds() - least) < 0.1


@case("3", "clamp", "clamp 1 s … 24 h", play=play_clamp)
def clamp(ctx: Any) -> Any:
    yield ctx.step.run("bad", fail, backoff=ctx.event.data["backoff"])
