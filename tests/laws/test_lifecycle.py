"""on_failure, on_cancel and the lifecycle events: part of a run's end, exactly once, never in a circle."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

from durable_django import Cancel, EventTrigger, Hook, Timeouts, send_event, workflow
from durable_django.engine.execute import execute_run
from durable_django.engine.operations import cancel_run, rerun, retry_run
from durable_django.exceptions import InvalidDefinition
from durable_django.models import Event, Run
from durable_django.store.claim import claim_runs
from durable_django.testing import advance, drain
from tests.app.models import Effect
from tests.bodies import MAKERS
from tests.plugins.store import Store
from tests.quiet import QUIET

ENDINGS = ["durable/run.cancelled", "durable/run.failed", "durable/run.finished"]


def note(key: str) -> None:
    Effect.objects.create(key=key)


def notes() -> list[str]:
    return sorted(Effect.objects.values_list("key", flat=True))


def raise_error(text: str) -> None:
    raise ValueError(text)


@pytest.fixture
def handler(kind: str) -> Any:
    """Make a handler of the workflow's kind that notes what it is told."""

    def make(word: str) -> Any:
        def handle(ctx: Any) -> Any:
            data = ctx.event.data
            told = data["error"]["message"] if data["error"] else data["reason"]
            yield ctx.step.run(
                "note", note, f"{word}: {data['workflow']} {data['event']['data']['n']} {told}"
            )
            return data["status"]

        return MAKERS[kind](handle)

    return make


@pytest.fixture
def fragile(declare: Any, handler: Any) -> Any:
    """A workflow with both handlers, which fails, waits or succeeds as its data says."""

    @declare(
        id="fragile",
        trigger="app/fragile",
        retries=0,
        on_failure=handler("failed"),
        on_cancel=handler("cancelled"),
    )
    def fragile(ctx: Any) -> Any:
        if ctx.event.data.get("fail"):
            yield ctx.step.run("fail", raise_error, "wrong", retries=0)
        if ctx.event.data.get("wait"):
            yield ctx.step.sleep("nap", "1d")
        return "fine"

    return fragile


def runs(flow: str) -> list[str]:
    return list(Run.objects.filter(workflow=flow).values_list("status", flat=True))


# --- handlers -------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["start", "event"])
def test_a_failure_starts_its_handler(fragile: Any, way: str) -> None:
    """on_failure runs on its own, with the original event and the error; the failed run stays failed."""
    if way == "start":
        fragile.start({"n": 1, "fail": True})
    else:
        send_event("app/fragile", {"n": 1, "fail": True})
    drain()
    assert notes() == ["failed: fragile 1 wrong"]
    assert (runs("fragile"), runs("fragile/on-failure"), runs("fragile/on-cancel")) == (
        ["failed"],
        ["completed"],
        [],
    )


def test_a_cancellation_starts_its_handler(fragile: Any) -> None:
    """on_cancel is told the reason; on_failure is not called."""
    handle = fragile.start({"n": 2, "wait": True})
    drain()
    cancel_run(handle.id, actor="me", reason="too late")
    drain()
    assert notes() == ["cancelled: fragile 2 too late"]
    assert runs("fragile/on-failure") == []


def test_a_success_starts_no_handler(fragile: Any) -> None:
    """An ordinary end stores no event and costs what it costs without handlers."""
    handle = fragile.start({"n": 3})
    drain()
    assert handle.result(0) == "fine"
    assert not Event.objects.filter(name__in=ENDINGS).exists()


def test_handlers_are_about_their_own_workflow(fragile: Any, declare: Any) -> None:
    """Another workflow's failure starts no handler and stores nothing."""

    @declare(id="other", retries=0)
    def other(ctx: Any) -> Any:
        yield ctx.step.run("fail", raise_error, "elsewhere", retries=0)

    other.start({"n": 4})
    drain()
    assert runs("other") == ["failed"]
    assert (notes(), Event.objects.filter(name__in=ENDINGS).count()) == ([], 0)


def test_the_code_between_steps_fails_too(declare: Any, handler: Any) -> None:
    """A failure outside steps, out of attempts, is a failure like any other."""

    @declare(id="bare", retries=0, on_failure=handler("failed"))
    def bare(ctx: Any) -> Any:
        raise ValueError("outside")

    bare.start({"n": 5})
    drain()
    assert notes() == ["failed: bare 5 outside"]


def test_a_quarantined_run_calls_its_handler(fragile: Any, configure: Any) -> None:
    """A run that killed too many workers has failed."""
    configure(DISPATCHER=QUIET, CRASH_LIMIT=2)
    fragile.start({"n": 6})
    Run.objects.update(crash_count=3)
    drain()
    assert len(notes()) == 1
    assert notes()[0].startswith("failed: fragile 6 ")


@pytest.mark.parametrize("limits", [{"start": "10m"}, {"finish": "10m"}])
def test_a_time_out_calls_the_handler(declare: Any, handler: Any, configure: Any, limits: Any) -> None:
    """A run that timed out, before its start or its end, was cancelled."""
    configure(DISPATCHER=QUIET)

    @declare(id="late", timeouts=Timeouts(**limits), on_cancel=handler("cancelled"))
    def late(ctx: Any) -> Any:
        yield ctx.step.sleep("nap", "1d")

    late.start({"n": 7})
    if "finish" in limits:
        drain()
    advance("11m")
    assert notes() == [
        f"cancelled: late 7 timed out before it {'started' if 'start' in limits else 'finished'}"
    ]


def test_a_cancel_rule_calls_the_handler(declare: Any, handler: Any) -> None:
    """An event that cancels a run calls on_cancel with its name as the reason."""

    @declare(id="ruled", cancel_on=Cancel("app/stop"), on_cancel=handler("cancelled"))
    def ruled(ctx: Any) -> Any:
        yield ctx.step.sleep("nap", "1d")

    ruled.start({"n": 8})
    drain()
    send_event("app/stop")
    drain()
    assert notes() == ["cancelled: ruled 8 cancelled by event app/stop"]


def test_a_handler_that_fails_calls_nobody(declare: Any) -> None:
    """The failure of a handler is a failed run and nothing more, also if somebody listens to all failures."""

    @declare(id="all", trigger="durable/run.failed", retries=0)
    def listen(ctx: Any) -> Any:
        raise ValueError(f"all: {ctx.event.data['workflow']}")

    def fail(ctx: Any) -> Any:
        raise ValueError("the handler")

    @declare(id="bad", retries=0, on_failure=fail)
    def bad(ctx: Any) -> Any:
        raise ValueError("the run")

    bad.start({"n": 9})
    for _ in range(5):
        advance("1h")
    assert (runs("bad/on-failure"), runs("all")) == (["failed"], ["failed"])
    assert Event.objects.filter(name="durable/run.failed").count() == 1


def test_what_a_handler_invokes_calls_nobody(declare: Any) -> None:
    """A listener to all ends that invokes a child does not hear of that child, or it would never stop."""

    @declare(id="child")
    def child(ctx: Any) -> Any:
        return "heard"

    @declare(id="all", trigger="durable/run.finished")
    def listen(ctx: Any) -> Any:
        return (yield ctx.step.invoke("tell", function=child))

    @declare(id="plain")
    def plain(ctx: Any) -> Any:
        return 1

    plain.start()
    for _ in range(5):
        advance("1m")
    assert (runs("plain"), runs("all"), runs("child")) == (["completed"],) * 3


# --- events ---------------------------------------------------------------------------------------


def test_anybody_may_listen_to_ends(declare: Any) -> None:
    """The three events tell workflow, run, status, result or error, and the event that began it all."""
    heard: list[Any] = []

    @declare(id="listener", trigger=["durable/run.finished", EventTrigger("durable/run.cancelled")])
    def listener(ctx: Any) -> Any:
        heard.append((ctx.event.name, dict(ctx.event.data)))

    @declare(id="plain")
    def plain(ctx: Any) -> Any:
        if ctx.event.data["wait"]:
            yield ctx.step.sleep("nap", "1d")
        return {"answer": 42}

    done, stopped = plain.start({"wait": False}), plain.start({"wait": True})
    drain()
    cancel_run(stopped.id, actor="me")
    drain()
    found = {(name, data["status"]): data for name, data in heard}
    assert sorted(found) == [
        ("durable/run.cancelled", "cancelled"),
        ("durable/run.finished", "cancelled"),
        ("durable/run.finished", "completed"),
    ]
    data = found["durable/run.finished", "completed"]
    assert (data["workflow"], data["run_id"], data["result"], data["error"]) == (
        "plain",
        done.id,
        {"answer": 42},
        None,
    )
    assert data["event"]["data"] == {"wait": False}
    assert found["durable/run.cancelled", "cancelled"]["reason"] == "cancelled by me"


def test_a_star_does_not_hear_of_ends(declare: Any) -> None:
    """A trigger for all events starts nothing for the engine's own."""

    @declare(id="star", trigger="*")
    def star(ctx: Any) -> Any:
        return ctx.event.name

    @declare(id="plain", retries=0)
    def plain(ctx: Any) -> Any:
        raise ValueError("wrong")

    plain.start()
    drain()
    assert runs("star") == []
    assert not Event.objects.filter(name__in=ENDINGS).exists()


class Mask(Hook):
    """Hides what it is given."""

    def encode_output(self, value: Any, place: Any) -> Any:
        return {"hidden": value}

    def decode_output(self, value: Any, place: Any) -> Any:
        return value["hidden"]


def test_a_handler_sees_what_its_workflow_saw(declare: Any) -> None:
    """The hooks of a workflow open for its handlers what they have sealed."""
    heard: list[Any] = []

    @declare(id="listener", trigger="durable/run.finished", hooks=[Mask()])
    def listener(ctx: Any) -> Any:
        heard.append(ctx.event.data["result"])

    @declare(id="plain", hooks=[Mask()])
    def plain(ctx: Any) -> Any:
        return {"secret": 1}

    plain.start()
    drain()
    assert heard == [{"secret": 1}]


# --- exactly once ---------------------------------------------------------------------------------


def claim(store: Store) -> Any:
    ids = list(Run.objects.values_list("id", flat=True))
    [claimed] = claim_runs(store.alias, owner="test", lease=60.0, ids=ids, limit=1)
    return claimed


def test_each_end_is_told(fragile: Any) -> None:
    """A run that an operator retries and that fails again has ended twice; so has a rerun."""
    handle = fragile.start({"n": 5, "fail": True})
    drain()
    retry_run(handle.id, actor="me")
    drain()
    assert len(notes()) == 2
    rerun(handle.id, actor="me")
    drain()
    assert len(notes()) == 3


def test_an_end_that_nobody_hears_of_costs_nothing_more(
    declare: Any, configure: Any, store: Store, handler: Any
) -> None:
    """Handlers of one workflow add no statement to the ends of the others, nor to its own successes."""
    configure(DISPATCHER=QUIET)

    def count(flow: Any) -> int:
        flow.start({"n": 1})
        claimed = claim(store)
        with CaptureQueriesContext(connections[store.alias]) as queries:
            execute_run(store.alias, claimed)
        return len(queries)

    @declare(id="plain")
    def plain(ctx: Any) -> Any:
        return 1

    without = count(plain)

    @declare(id="handled", on_failure=handler("failed"), on_cancel=handler("cancelled"))
    def handled(ctx: Any) -> Any:
        return 1

    assert (count(plain), count(handled)) == (without, without)


def test_a_handler_must_be_a_workflow_function(store: Store) -> None:
    """What cannot be a workflow is refused where it is written, and nothing is left registered."""
    with pytest.raises(InvalidDefinition, match="takes the context"):
        workflow(id="wrong", on_failure=lambda: None)(lambda ctx: None)
    workflow(id="wrong")(lambda ctx: None)
