"""step.invoke: a child's result, failure, cancellation or time-out reaches its parent once (F11, F58, F67)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connections

from durable_django import Cancel, Hook, StepError, Timeouts, send_event, workflow
from durable_django.engine.execute import execute_run
from durable_django.engine.operations import cancel_run
from durable_django.exceptions import RunFailed
from durable_django.models import Run, Wait
from durable_django.store.claim import claim_runs
from durable_django.testing import advance, drain
from tests.app.models import Effect
from tests.bodies import MAKERS
from tests.plugins.store import Store
from tests.quiet import QUIET

Declare = Callable[..., Any]


@pytest.fixture(autouse=True)
def quiet(configure: Any) -> None:
    """Runs are executed when the test says so."""
    configure(DISPATCHER=QUIET)


def effect(key: str) -> str:
    Effect.objects.create(key=key)
    return key


def effects() -> list[str]:
    return list(Effect.objects.order_by("id").values_list("key", flat=True))


def raise_error(text: str) -> None:
    raise ValueError(text)


def claim(store: Store, flow: str, owner: str = "test") -> Any:
    ids = list(Run.objects.filter(workflow=flow).values_list("id", flat=True))
    [claimed] = claim_runs(store.alias, owner=owner, lease=60.0, ids=ids, limit=1)
    return claimed


def find(flow: str) -> Run:
    return Run.objects.get(workflow=flow)


@pytest.fixture
def child(declare: Declare) -> Any:
    """A child that doubles a number after an hour, or fails, as its data says."""

    @declare(id="child")
    def child(ctx: Any) -> Any:
        yield ctx.step.sleep("nap", "1h")
        if ctx.event.data.get("fail"):
            yield ctx.step.run("fail", raise_error, "the child's own error", retries=0)
        return (ctx.event.data.get("n") or 0) * 2

    return child


@pytest.fixture
def parent(declare: Declare, child: Any) -> Any:
    """A parent that tells what the child gave, or how it failed."""

    @declare(id="parent")
    def parent(ctx: Any) -> Any:
        options = {"timeout": ctx.event.data["timeout"]} if "timeout" in ctx.event.data else {}
        try:
            got = yield ctx.step.invoke("ask", function=child, data=dict(ctx.event.data), **options)
        except StepError as error:
            return [error.name, error.message, error.error_code]
        return got

    return parent


# --- results --------------------------------------------------------------------------------------


def test_the_result_comes_back(parent: Any) -> None:
    """The parent waits for its child, which has its own run, and gets what it returned."""
    handle = parent.start({"n": 21})
    drain()
    run, own = find("child"), find("parent")
    assert (own.waits_for, run.parent_id, run.parent_step, run.origin, run.depth) == (
        "child",
        own.id,
        "ask",
        "invoke",
        1,
    )
    advance("61m")
    assert handle.result(0) == 42


def test_a_failure_names_the_child_s_error(parent: Any) -> None:
    """The parent sees a StepError with the name and message of what failed the child."""
    handle = parent.start({"fail": True})
    drain()
    advance("61m")
    assert handle.result(0)[:2] == ["ValueError", "the child's own error"]


def test_a_cancelled_child_is_an_error(parent: Any) -> None:
    """An operator who cancels the child wakes the parent with a StepError that says so."""
    handle = parent.start()
    drain()
    cancel_run(find("child").id, actor="test", reason="not needed")
    drain()
    assert handle.result(0) == [
        "InvokeCancelled",
        "the invoked workflow 'child' was cancelled: not needed",
        "invoke_cancelled",
    ]


@pytest.mark.parametrize("timeout", ["10m", 0, "-1s"])
def test_at_the_time_out_the_child_goes_on(parent: Any, timeout: Any) -> None:
    """The parent gets an InvokeTimeoutError; what the child returns later changes nothing."""
    handle = parent.start({"n": 1, "timeout": timeout})
    drain()
    advance("11m")
    assert handle.result(0)[0] == "InvokeTimeoutError"
    assert find("child").status == "waiting"
    advance("1h")
    assert find("child").status == "completed"
    assert handle.result(0)[0] == "InvokeTimeoutError"


def test_an_unknown_workflow_is_an_error_with_the_nearest_id(declare: Declare, child: Any) -> None:
    """The parent may catch it; it names what is nearest, and starts nothing."""

    @declare(id="wrong")
    def wrong(ctx: Any) -> Any:
        try:
            yield ctx.step.invoke_by_id("ask", function_id="chidl")
        except StepError as error:
            return [error.name, error.message]

    handle = wrong.start()
    drain()
    name, message = handle.result(0)
    assert name == "UnknownWorkflow"
    assert "'child'" in message
    assert Run.objects.count() == 1


def test_a_workflow_may_invoke_itself_to_a_limit(declare: Declare, configure: Any) -> None:
    """Recursion works and ends at INVOKE_DEPTH with an error that travels up."""
    configure(INVOKE_DEPTH=3)

    @declare(id="recursive")
    def recursive(ctx: Any) -> Any:
        left = ctx.event.data["left"]
        if not left:
            return 0
        return 1 + (yield ctx.step.invoke_by_id("deeper", function_id="recursive", data={"left": left - 1}))

    shallow, deep = recursive.start({"left": 3}), recursive.start({"left": 9})
    drain()
    assert shallow.result(0) == 3
    with pytest.raises(RunFailed, match="more than 3 levels deep"):
        deep.result(0)
    assert Run.objects.count() == 8


def test_children_side_by_side(declare: Declare, child: Any, kind: str) -> None:
    """Branches invoke children that run at the same time; the same id serves in each branch."""

    def branch(ctx: Any, n: int) -> Any:
        return (yield ctx.step.invoke("ask", function=child, data={"n": n}))

    @declare(id="family")
    def family(ctx: Any) -> Any:
        made = [MAKERS[kind](lambda c, n=n: branch(c, n)) for n in range(5)]
        return (yield ctx.group.parallel([lambda f=each: f(ctx) for each in made]))

    handle = family.start()
    drain()
    assert Run.objects.filter(workflow="child").count() == 5
    advance("61m")
    assert handle.result(0) == [0, 2, 4, 6, 8]


def test_a_quarantined_child_is_an_error(parent: Any, configure: Any) -> None:
    """A child that kills its workers fails, and its parent hears of it."""
    configure(CRASH_LIMIT=2)
    handle = parent.start()
    drain()
    Run.objects.filter(workflow="child").update(crash_count=3, wake_at="2000-01-01T00:00Z")
    drain()
    assert handle.result(0)[0] == "RunQuarantined"


def test_a_child_that_timed_out_is_an_error(declare: Declare) -> None:
    """``timeouts`` of the child hold for it as a child, and its parent is told."""

    @declare(id="child", timeouts=Timeouts(finish="10m"))
    def child(ctx: Any) -> Any:
        yield ctx.step.sleep("nap", "1h")

    @declare(id="parent")
    def parent(ctx: Any) -> Any:
        yield ctx.step.invoke("ask", function=child)

    handle = parent.start()
    drain()
    advance("11m")
    with pytest.raises(RunFailed, match="timed out before it finished"):
        handle.result(0)


def test_a_child_s_cancel_rules_are_armed(declare: Declare) -> None:
    """``cancel_on`` of the child is bound to the data that it was invoked with."""

    @declare(id="child", cancel_on=Cancel("app/stop", match="data.n"))
    def child(ctx: Any) -> Any:
        yield ctx.step.sleep("nap", "1h")

    @declare(id="parent")
    def parent(ctx: Any) -> Any:
        yield ctx.step.invoke("ask", function=child, data={"n": 1})

    handle = parent.start()
    drain()
    send_event("app/stop", {"n": 2})
    assert find("child").status == "waiting"
    send_event("app/stop", {"n": 1})
    drain()
    assert find("child").status == "cancelled"
    with pytest.raises(RunFailed, match="cancelled by event app/stop"):
        handle.result(0)


class Envelope(Hook):
    """Notes for which place an output was sealed, and refuses to open it for another."""

    def encode_output(self, value: Any, place: Any) -> Any:
        return {"sealed": value, "for": [place.kind, place.id, place.name]}

    def decode_output(self, value: Any, place: Any) -> Any:
        if value["for"] != [place.kind, place.id, place.name]:
            raise ValueError(f"sealed for {value['for']}, opened for {place}")
        return value["sealed"]


def test_a_sealed_result_is_opened_by_the_child_s_hooks(declare: Declare) -> None:
    """What the child's own hooks sealed comes back plain, also to a parent without hooks."""

    @declare(id="child", hooks=[Envelope()])
    def child(ctx: Any) -> Any:
        yield ctx.step.sleep("nap", "1m")
        return {"secret": 1}

    @declare(id="parent")
    def parent(ctx: Any) -> Any:
        got = yield ctx.step.invoke("ask", function=child)
        yield ctx.step.sleep("nap", "1m")
        return got

    handle = parent.start()
    for _ in range(3):
        advance("61s")
    assert handle.result(0) == {"secret": 1}


# --- what parents and children outlive ------------------------------------------------------------


def test_a_child_without_code_waits_for_it(parent: Any, registry: Any) -> None:
    """A worker that does not know the child's workflow puts the child aside; the parent goes on waiting."""
    handle = parent.start({"n": 2})
    drain()
    known = registry.snapshot()
    registry.restore({id: each for id, each in known.items() if id != "child"})
    advance("61m")
    assert (find("child").waits_for, handle.status) == ("code", "waiting")
    registry.restore(known)
    advance("2m")
    assert handle.result(0) == 4


def test_a_run_without_children_pays_nothing(store: Store) -> None:
    """The end of a run that nobody waits for takes no further transaction; see test_statements."""
    flow = workflow(id="alone")(lambda ctx: 1)
    flow.start()
    claimed = claim(store, "alone")
    statements: list[str] = []

    def note(execute: Any, sql: str, *rest: Any) -> Any:
        statements.append(sql)
        return execute(sql, *rest)

    with connections[store.alias].execute_wrapper(note):
        execute_run(store.alias, claimed)
    assert not [sql for sql in statements if "ORDER BY id FOR NO KEY UPDATE" in sql and "owned" not in sql]
    assert not Wait.objects.exists()
