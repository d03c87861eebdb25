"""§2: run, sleep, send, invoke, parallel, model calls, HTTP, ids."""

from __future__ import annotations

import math
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from durable_django import StepError
from durable_django.models import Step
from tests.app.models import Effect
from tests.conformance.case import Span, case
from tests.conformance.stage import Stage
from tests.conformance.traces import count, echo, note, stumble, trace

# --- run ------------------------------------------------------------------------------------------


@case(
    "2",
    "run-once",
    "runs once to success; output memoized",
    data={"nap": Span("1h")},
    passes="2h",
    result=[{"k": [1]}, 1],
    sample=True,
)
def run_once(ctx: Any) -> Any:
    yield trace(ctx, "one")
    value = yield ctx.step.run("value", echo, {"k": (1,)})
    yield ctx.step.sleep("nap", ctx.event.data["nap"])
    return [value, (yield ctx.step.run("count", count, ctx.event.data, ctx.run_id, "one"))]


def write_row(data: dict[str, Any], run: str) -> int:
    Effect.objects.create(key=data["place"], run=run)
    stumble(data, run, "write", 1)
    return Effect.objects.filter(run=run).count()


def held_atomic(stage: Stage) -> None:
    assert len(stage.traces("write")) == 2
    assert Effect.objects.using(stage.alias).filter(key=stage.place).count() == 1


@case(
    "2",
    "run-atomic",
    "fn's ORM writes and the checkpoint commit in one transaction",
    passes="2s",
    result=1,
    holds=held_atomic,
    sample=True,
)
def run_atomic(ctx: Any) -> Any:
    return (yield ctx.step.run("w", write_row, ctx.event.data, ctx.run_id, atomic=True, backoff="1s"))


@case("2", "run-timeout", "timeout= of step.run", result="step_timeout")
def run_timeout(ctx: Any) -> Any:
    try:
        yield ctx.step.run("slow", time.sleep, 0.2, timeout="50ms", retries=0)
    except StepError as error:
        return error.error_code


# --- sleep ----------------------------------------------------------------------------------------

FORMS = ["30s", "5m", "1h30m", "24h", "7d", "7 days", "1 day", "2w", "2.5h", 90_000, 90.5, timedelta(days=2)]


def play_forms(stage: Stage) -> None:
    seconds = [30, 300, 5400, 86400, 604800, 604800, 86400, 1209600, 9000, 90, 0.0905, 172800]
    for form, length in zip(FORMS, seconds, strict=True):
        if stage.inline or length >= 30:
            handle = stage.start(nap=form)
            stage.wait_for("sleep", handle)
            nap = stage.steps(handle).get()
            began, due = nap.started_at, nap.ready_at
            assert abs((due - began).total_seconds() - length) < 0.1, form


@case("2", "sleep-forms", '"30s" "5m" "1h30m" … int/float milliseconds, timedelta', play=play_forms)
def sleep_form(ctx: Any) -> Any:
    yield ctx.step.sleep("nap", ctx.event.data["nap"])


def play_no_length(stage: Stage) -> None:
    for value in (0, -1, "0s", "-1h", timedelta(days=-400)):
        assert stage.result(stage.start(nap=value)) == "on"


@case("2", "sleep-nothing", "≤ 0 → resumes at once", play=play_no_length)
def sleep_nothing(ctx: Any) -> Any:
    yield ctx.step.sleep("nap", ctx.event.data["nap"])
    return "on"


def play_unusable(stage: Stage) -> None:
    for value in ("soon", "367 days", "1 fortnight", 10**15, None, "NaN"):
        told = stage.error(stage.start(nap=value))
        assert told["code"] == "duration_invalid", value
    assert not stage.attempts().exists()


@case(
    "2",
    "sleep-unusable",
    "longer than 366 days, NaN, unknown text → the run fails at once, coded",
    play=play_unusable,
)
def sleep_unusable(ctx: Any) -> Any:
    try:
        given = ctx.event.data["nap"]
        yield ctx.step.sleep("nap", math.nan if given == "NaN" else given)
    except Exception:
        return "swallowed"


def play_short(stage: Stage) -> None:
    assert 0.12 <= stage.start(nap=120).result(20) < 10


@case("2", "sleep-short", "sub-second sleeps really sleep", play=play_short)
def sleep_short(ctx: Any) -> Any:
    before = yield ctx.step.run("before", time.time)
    yield ctx.step.sleep("nap", ctx.event.data["nap"])
    return (yield ctx.step.run("after", time.time)) - before


def play_until(stage: Stage) -> None:
    soon = datetime.now(UTC) + timedelta(milliseconds=200)
    for until in (soon, soon.isoformat(), soon.timestamp() * 1000, "1999-01-01T00:00:00Z"):
        handle = stage.start(until=until)
        if until != "1999-01-01T00:00:00Z":
            stage.pass_time("1s")
        assert stage.result(handle) == "on"
    assert stage.error(stage.start(until="2030-01-01T00:00:00"))["code"] == "datetime_naive"


@case(
    "2",
    "sleep-until",
    "aware datetime, ISO 8601 string, epoch ms. Past → at once. Naive refused",
    play=play_until,
)
def sleep_until(ctx: Any) -> Any:
    yield ctx.step.sleep_until("nap", ctx.event.data["until"])
    return "on"


# --- model calls and HTTP -------------------------------------------------------------------------


@case(
    "2",
    "ai-wrap",
    "model call as a step, request and answer kept",
    result="answer to hi",
    holds=lambda stage: stage.steps(stage.handles[0]).get(kind="wrap"),
)
def ai_wrap(ctx: Any) -> Any:
    return (yield ctx.step.ai.wrap("model", lambda text: f"answer to {text}", "hi"))


@case(
    "2", "fetch-private", "private address ranges refused unless allowed in settings", result="fetch_refused"
)
def fetch_private(ctx: Any) -> Any:
    try:
        yield ctx.step.fetch("get", "http://127.0.0.1:9/")
    except StepError as error:
        return error.error_code


# --- ids ------------------------------------------------------------------------------------------


def held_indexes(stage: Stage) -> None:
    found = Step.objects.using(stage.alias).filter(run_id=stage.handles[0].id, name="x").order_by("index")
    assert list(found.values_list("index", "kind")) == [(0, "run"), (1, "sleep"), (2, "run"), (3, "sleep")]


@case(
    "2",
    "ids-again",
    "memo key is (id, index), one counter per id over all tools",
    data={"nap": Span("1m", "20ms")},
    passes=["2m", "2m"],
    result=[0, 1],
    holds=held_indexes,
)
def ids_again(ctx: Any) -> Any:
    values = []
    for number in range(2):
        values.append((yield ctx.step.run("x", echo, number)))
        yield ctx.step.sleep("x", ctx.event.data["nap"])
    return values


@case(
    "2",
    "ids-odd",
    "ids with any punctuation or emoji work",
    data={"nap": Span("1m", "20ms")},
    passes="2m",
    result=[0, 1, 2, 3],
)
def ids_odd(ctx: Any) -> Any:
    values = []
    for number, name in enumerate(["a.b/c:d", "%s {0} '\"\\", "漢字 😀", "\n\t"]):
        values.append((yield ctx.step.run(name, echo, number)))
    yield ctx.step.sleep("nap", ctx.event.data["nap"])
    return values


@case(
    "2", "nested", "a step inside a step's function is an error at once, not swallowed", fails="step_nested"
)
def nested(ctx: Any) -> Any:
    def outer() -> Any:
        try:
            ctx.step.run("inner", echo, 1)
        except Exception:
            return "swallowed"

    async def aouter() -> Any:
        try:
            return await ctx.step.run("inner", echo, 1)
        except Exception:
            return "swallowed"

    yield ctx.step.run("outer", aouter if ctx.workflow.is_async else outer)


@case(
    "2",
    "interrupts",
    "interrupts derive from BaseException",
    data={"nap": Span("1h")},
    passes="2h",
    result="whole",
)
def interrupts(ctx: Any) -> Any:
    try:
        yield ctx.step.sleep("nap", ctx.event.data["nap"])
    except Exception:
        return "swallowed"
    return "whole"


@case("2", "note", "a step's function may be any callable", result="n")
def any_callable(ctx: Any) -> Any:
    return (yield ctx.step.run("n", note, ctx.event.data, ctx.run_id, "n"))
