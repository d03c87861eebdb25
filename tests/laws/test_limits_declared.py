"""Limits of what is written in code: at the limit it is taken, one past it is refused with a code."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, cast

import pytest

from durable_django import Cancel, EventTrigger, send_event, step, workflow
from durable_django.checks import check_settings
from durable_django.conf import DEFAULTS
from durable_django.duration import parse_duration
from durable_django.exceptions import DurableError, InvalidDefinition, RunFailed
from durable_django.models import Run, Step
from durable_django.testing import advance
from tests.plugins.store import Store

YEAR = timedelta(days=366)
PAST = YEAR + timedelta(milliseconds=1)


def read_code(handle: Any) -> str:
    with pytest.raises(RunFailed) as caught:
        handle.result(0)
    return str(caught.value.details["told"]["code"])


def plain(ctx: Any) -> None:
    return None


DECLARED: dict[str, tuple[Any, int]] = {
    "triggers": (lambda n: workflow(id="x", trigger=[f"app/{k}" for k in range(n)])(plain), 10),
    "cancel rules": (lambda n: workflow(id="x", cancel_on=[Cancel(f"app/{k}") for k in range(n)])(plain), 5),
    "retries of a workflow": (lambda n: workflow(id="x", retries=n)(plain), 20),
    "retries of a step": (lambda n: step(retries=n)(plain), 20),
    "days of a cancel rule": (lambda n: Cancel("app/x", timeout=f"{n} days"), 366),
    "characters of a workflow id": (lambda n: workflow(id="x" * n)(plain), 200),
    "characters of a queue": (lambda n: workflow(id="x", queue="x" * n)(plain), 64),
    "characters of a version": (lambda n: workflow(id="x", version="x" * n)(plain), 64),
    "characters of a trigger": (lambda n: EventTrigger("x" * n), 255),
    "characters of a cancel event": (lambda n: Cancel("x" * n), 255),
}


@pytest.mark.parametrize("name", list(DECLARED))
def test_a_declaration_at_its_limit_and_past_it(name: str) -> None:
    """What is declared with too much or too many is refused where it is written."""
    declare, limit = DECLARED[name]
    declare(limit)
    with pytest.raises(InvalidDefinition):
        declare(limit + 1)


def test_a_declaration_of_another_type_is_refused() -> None:
    """A queue that is no text, and a function that needs more than the context, are coded errors."""
    with pytest.raises(InvalidDefinition, match="queue"):
        workflow(id="x", queue=cast("str", 5))(plain)
    with pytest.raises(InvalidDefinition, match="only argument"):
        workflow(id="x")(lambda ctx, more: None)
    workflow(id="x")(lambda ctx, more=1: None)


@pytest.mark.parametrize("retries", [-1, True, 2.0, "4"])
def test_retries_are_a_whole_number(retries: Any) -> None:
    """0 is the least; what is no whole number is refused."""
    workflow(id="x", retries=0)(plain)
    with pytest.raises(InvalidDefinition):
        workflow(id="x", retries=retries)(plain)


@pytest.mark.parametrize("retries", [20, 21])
def test_retries_of_one_call(declare: Any, retries: int) -> None:
    """step.run may be tried again 20 times; 21 fails the run at once, coded."""
    calls: list[int] = []

    @declare()
    def flow(ctx: Any) -> Any:
        yield ctx.step.run("bad", lambda: calls.append(1) or 1 / 0, retries=retries, backoff="1s")

    handle = flow.start()
    for _ in range(25):
        advance("2s")
    if retries == 20:
        assert read_code(handle) == "step_failed"
        assert len(calls) == 21
    else:
        assert read_code(handle) == "definition_invalid"
        assert not calls


WAITS: dict[str, Any] = {
    "sleep": lambda step, length: step.sleep("w", length),
    "event": lambda step, length: step.wait_for_event("w", event="app/x", timeout=length),
    "signal": lambda step, length: step.wait_for_signal("w", signal="x", timeout=length),
    "invoke": lambda step, length: step.invoke_by_id("w", function_id="child", timeout=length),
}


@pytest.mark.parametrize("length", [YEAR, PAST], ids=["366 days", "and 1 ms"])
@pytest.mark.parametrize("tool", list(WAITS))
def test_the_longest_wait(declare: Any, tool: str, length: timedelta) -> None:
    """Whatever waits may wait for 366 days; a millisecond more fails the run at once, coded."""

    def sleeper(ctx: Any) -> Any:
        yield ctx.step.sleep("long", "366 days")

    declare(id="child")(sleeper)

    @declare(id="flow")
    def flow(ctx: Any) -> Any:
        yield WAITS[tool](ctx.step, length)

    handle = flow.start()
    if length == YEAR:
        assert handle.status == "waiting"
        kept = Step.objects.get(name="w")
        assert kept.ready_at - kept.started_at == pytest.approx(YEAR, abs=timedelta(seconds=0.1))
        advance("365 days")
        assert handle.status == "waiting"
    else:
        assert read_code(handle) == "duration_invalid"
        assert Run.objects.count() == 1


@pytest.mark.parametrize("text", ["366 days", "8784h", 366 * 86_400_000, "P366D", YEAR])
def test_every_form_reaches_the_longest_duration(text: Any) -> None:
    """366 days are 366 days in each spelling, and the next millisecond is refused in each."""
    assert parse_duration(text) == YEAR


@pytest.mark.parametrize("text", ["367 days", "8784h 1ms", 366 * 86_400_000 + 1, "P366DT1S", PAST])
def test_no_form_passes_the_longest_duration(text: Any) -> None:
    """No spelling gets past the limit."""
    with pytest.raises(DurableError) as caught:
        parse_duration(text)
    assert caught.value.code == "duration_invalid"


NAMES: dict[str, Any] = {
    "step": lambda step, name: step.run(name, int),
    "event": lambda step, name: step.wait_for_event("w", event=name, timeout="1h"),
    "signal": lambda step, name: step.wait_for_signal("w", signal=name, timeout="1h"),
    "sent": lambda step, name: step.send_event("s", {"name": name}),
    "sent id": lambda step, name: step.send_event("s", {"name": "app/x", "id": name}),
}
CODES = {"step": "step_usage", "signal": "signal_invalid"}


@pytest.mark.parametrize("letter", ["x", "漢", "😀"])
@pytest.mark.parametrize("length", [255, 256])
@pytest.mark.parametrize("what", list(NAMES))
def test_the_longest_names(declare: Any, what: str, length: int, letter: str) -> None:
    """Ids and names of 255 characters of any script are stored; one more fails the run, coded."""

    @declare()
    def flow(ctx: Any) -> Any:
        yield NAMES[what](ctx.step, letter * length)

    handle = flow.start()
    if length == 255:
        assert handle.status in ("completed", "waiting")
    else:
        assert read_code(handle) == CODES.get(what, "event_invalid")


@pytest.mark.parametrize("length", [255, 256, 5_000])
def test_a_long_start_key_is_told_apart_to_its_end(declare: Any, length: int) -> None:
    """Keys have no limit of their own: what is shown is cut, what is compared is not."""
    flow = declare(id="flow")(plain)
    first, again, other = (flow.start(key="k" * length + end) for end in ("a", "a", "b"))
    assert first.id == again.id
    assert first.id != other.id
    assert {len(key) for key in Run.objects.values_list("key", flat=True)} == {255}


@pytest.mark.parametrize(
    ("key", "most"), [("STEP_LIMIT", 10_000), ("EVENT_BYTES", 3 * 1024 * 1024), ("RETRIES", 20)]
)
def test_the_most_that_a_setting_may_be(configure: Any, key: str, most: int) -> None:
    """Limits can be moved so far by a setting; one past it is an error of the system check."""
    assert DEFAULTS[key] < most
    configure(**{key: most})
    assert not check_settings()
    configure(**{key: most + 1})
    assert [each.id for each in check_settings()] == ["durable_django.E003"]


def test_an_event_of_the_default_size(store: Store) -> None:
    """512 KB is the default: the whole of data as it is stored, not a byte more."""
    room = 512 * 1024 - len('{"k":""}')
    send_event("app/x", {"k": "x" * room})
    with pytest.raises(DurableError) as caught:
        send_event("app/x", {"k": "x" * (room + 1)})
    assert caught.value.code == "event_too_large"
