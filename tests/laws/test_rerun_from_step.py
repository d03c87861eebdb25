"""Reruns with an edited event, and from a step: the copies, the edited input, the links both ways."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.fernet import Fernet

from durable_django import Cancel, send_event
from durable_django.contrib.encryption import EncryptionHook
from durable_django.engine.operations import StepRef, rerun
from durable_django.exceptions import (
    EventNotFound,
    InvalidEvent,
    InvalidStepInput,
    StepError,
    StepNotFound,
    Unserializable,
)
from durable_django.models import AuditEntry, Event, Run, Step, Wait
from durable_django.testing import advance
from tests.threads import run_together


@pytest.fixture
def calls() -> list[Any]:
    return []


@pytest.fixture
def order(declare: Any, calls: list[Any]) -> Any:
    """Four steps, each of which tells its arguments and returns a value that names them."""

    def work(*args: Any, **kwargs: Any) -> Any:
        calls.append([*args, *sorted(kwargs.items())])
        return f"{args[0]}-{len(calls)}"

    @declare(id="order", trigger="app/order")
    def order(ctx: Any) -> Any:
        one = yield ctx.step.run("one", work, "one")
        yield ctx.step.sleep("nap", "1ms")
        two = yield ctx.step.run("two", work, "two", one, note="n")
        three = yield ctx.step.run("three", work, "three", two)
        return [one, two, three]

    return order


def test_a_rerun_with_edited_data(order: Any) -> None:
    """The new run gets the edited event, which starts nothing else; event and old run stay as they are."""
    send_event({"name": "app/order", "data": {"n": 1}, "user": {"id": "u"}})
    advance("1s")
    old = Run.objects.get()
    new = Run.objects.get(id=rerun(old.id, actor="me", data={"n": 2}).id)
    assert (new.rerun_of, new.origin, Run.objects.count()) == (old.id, "rerun", 2)
    assert [Event.objects.get(id=run.event_id).data for run in (old, new)] == ['{"n":1}', '{"n":2}']
    assert Event.objects.get(id=new.event_id).extra == Event.objects.get(id=old.event_id).extra
    assert "edited data" in AuditEntry.objects.get().result


@pytest.mark.parametrize("data", [[], "text", 5])
def test_data_that_is_no_event_is_refused(order: Any, data: Any) -> None:
    """Nothing is started for data that is no object."""
    run = order.start()
    with pytest.raises(InvalidEvent):
        rerun(run.id, actor="me", data=data)
    assert (Run.objects.count(), AuditEntry.objects.count()) == (1, 0)


def test_a_run_without_its_event_is_refused(order: Any) -> None:
    """A run whose event was deleted cannot be rerun; it would never start."""
    run = order.start()
    alias = Run.objects.get()._state.db
    Event.objects.all()._raw_delete(alias)
    with pytest.raises(EventNotFound):
        rerun(run.id, actor="me")


def test_steps_before_are_copied_and_those_after_run_again(order: Any, calls: list[Any]) -> None:
    """The new run begins at the step with the old results before it, in their order; the old run is untouched."""
    old = order.start()
    advance("1s")
    before = list(Step.objects.filter(run_id=old.id).order_by("id").values())
    calls.clear()
    new = rerun(old.id, actor="me", from_step=StepRef("two"), reason="mended")
    advance("1s")
    assert new.result(0) == ["one-1", "two-1", "three-2"]
    assert [call[0] for call in calls] == ["two", "three"]
    assert list(Step.objects.filter(run_id=old.id).order_by("id").values()) == before
    names = Step.objects.filter(run_id=new.id).order_by("id").values_list("name", flat=True)
    assert list(names) == ["one", "nap", "two", "three"]
    row = Run.objects.get(id=new.id)
    assert (str(row.rerun_of), row.rerun_from, row.warning) == (old.id, "two", "")
    assert list(Run.objects.filter(rerun_of=old.id)) == [row]


def test_an_edited_input_is_used(order: Any, calls: list[Any]) -> None:
    """The step is called with the edited arguments, named ones too; later steps get what it returned."""
    old = order.start()
    advance("1s")
    calls.clear()
    for given in (["two", "edited"], {"args": ["two", "edited"], "kwargs": {"note": "m"}}):
        rerun(old.id, actor="me", from_step=StepRef("two"), step_input=given)
    advance("1s")
    assert calls == [
        ["two", "edited", ("note", "n")],
        ["three", "two-1"],
        ["two", "edited", ("note", "m")],
        ["three", "two-3"],
    ]
    assert AuditEntry.objects.filter(result__endswith="with edited input").count() == 2


def test_an_edited_input_is_kept_through_retries(declare: Any) -> None:
    """A step that fails with the edited arguments is tried again with them, until it has a result."""
    seen: list[int] = []

    def work(n: int) -> int:
        seen.append(n)
        if len(seen) == 2:
            raise ValueError("once")
        return n

    @declare(backoff="1s")
    def flow(ctx: Any) -> Any:
        return (yield ctx.step.run("one", work, 1))

    old = flow.start()
    new = rerun(old.id, actor="me", from_step=StepRef("one"), step_input=[5])
    advance("5s")
    assert (new.result(0), seen) == (5, [1, 5, 5])


def test_input_of_a_child(declare: Any) -> None:
    """The input of a step that starts a run is the data of that run."""

    @declare()
    def child(ctx: Any) -> Any:
        if False:
            yield
        return ctx.event.data

    @declare()
    def parent(ctx: Any) -> Any:
        return (yield ctx.step.invoke("call", function=child, data={"n": 1}))

    old = parent.start()
    new = rerun(old.id, actor="me", from_step=StepRef("call"), step_input={"n": 2})
    assert (old.result(0), new.result(0)) == ({"n": 1}, {"n": 2})


@pytest.mark.parametrize(
    ("step", "given"),
    [("one", "text"), ("one", {"args": []}), ("nap", []), ("one", {"args": 1, "kwargs": {}})],
)
def test_an_input_that_does_not_fit_is_refused(order: Any, step: str, given: Any) -> None:
    """An input of the wrong form, or for a step that has none, starts no run."""
    old = order.start()
    advance("1s")
    with pytest.raises(InvalidStepInput):
        rerun(old.id, actor="me", from_step=StepRef(step), step_input=given)
    with pytest.raises(InvalidStepInput):
        rerun(old.id, actor="me", step_input=[1])
    with pytest.raises(Unserializable):
        rerun(old.id, actor="me", from_step=StepRef("one"), step_input=[object()])
    assert (Run.objects.count(), Step.objects.exclude(run_id=old.id).count()) == (1, 0)
    assert not AuditEntry.objects.exists()


def test_a_step_that_the_run_has_not(order: Any) -> None:
    """A step that is not stored, by its id or its index, is a coded error and starts no run."""
    old = order.start()
    for step in (StepRef("nonsense"), StepRef("one", 7)):
        with pytest.raises(StepNotFound):
            rerun(old.id, actor="me", from_step=step)
    assert Run.objects.count() == 1


def test_a_caught_failure_is_copied(declare: Any, calls: list[Any]) -> None:
    """A step that failed and was caught fails the same way in the copy, without being called."""

    def broken() -> None:
        calls.append("broken")
        raise ValueError("no")

    @declare(retries=0)
    def flow(ctx: Any) -> Any:
        try:
            yield ctx.step.run("broken", broken)
        except StepError as error:
            said = error.message
        return [said, (yield ctx.step.run("last", int))]

    old = flow.start()
    new = rerun(old.id, actor="me", from_step=StepRef("last"))
    assert (new.result(0), calls) == (old.result(0), ["broken"])


def test_a_failed_run_from_its_failed_step(declare: Any, calls: list[Any]) -> None:
    """The step that failed the run is executed again with all its attempts."""

    def work(n: int) -> int:
        calls.append(n)
        if n < 0:
            raise ValueError("negative")
        return n

    @declare(retries=0)
    def flow(ctx: Any) -> Any:
        yield ctx.step.run("one", work, 1)
        return (yield ctx.step.run("two", work, -1))

    old = flow.start()
    assert old.status == "failed"
    new = rerun(old.id, actor="me", from_step=StepRef("two"), step_input=[2])
    assert (new.result(0), calls, old.status) == (2, [1, -1, 2], "failed")


def test_waits_are_asked_again(declare: Any) -> None:
    """From a wait the new run waits anew, with a cancel rule of its own; a waiting run can be rerun too."""

    @declare(id="asking", cancel_on=[Cancel(event="app/stop")])
    def asking(ctx: Any) -> Any:
        yield ctx.step.run("one", int)
        event = yield ctx.step.wait_for_event("ask", event="app/answer", timeout="1h")
        return event.data

    old = asking.start()
    new = rerun(old.id, actor="me", from_step=StepRef("ask"))
    assert Wait.objects.filter(run_id=new.id, status="open").count() == 2
    send_event("app/answer", {"n": 1})
    assert (old.result(0), new.result(0)) == ({"n": 1}, {"n": 1})


def test_a_look_back_takes_no_event_twice(declare: Any) -> None:
    """An event that a copied step has taken is not taken by a later use of the same wait."""

    @declare(id="looking", trigger="app/look")
    def looking(ctx: Any) -> Any:
        found = []
        for _ in range(2):
            yield ctx.step.run("work", int)
            event = yield ctx.step.wait_for_event("ask", event="app/part", timeout="1h", since="run")
            found.append(event.data["n"])
        return found

    send_event("app/look")
    send_event("app/part", {"n": 1})
    send_event("app/part", {"n": 2})
    old = Run.objects.get()
    new = rerun(old.id, actor="me", from_step=StepRef("work", 1))
    assert Wait.objects.filter(run_id=new.id, status="matched").count() == 1
    send_event("app/part", {"n": 3})
    assert new.result(0) == [1, 3]


def test_copies_are_sealed_for_the_new_run(declare: Any, configure: Any) -> None:
    """Under encryption what is copied is bound to the new run, edited input is stored encrypted."""
    configure(HOOKS=[EncryptionHook([Fernet.generate_key()], outputs=True, events="data")])

    @declare()
    def child(ctx: Any) -> Any:
        if False:
            yield
        return "geheim"

    @declare()
    def parent(ctx: Any) -> Any:
        one = yield ctx.step.run("one", lambda: "geheim")
        two = yield ctx.step.invoke("two", function=child)
        three = yield ctx.step.run("three", lambda given: given, "geheim")
        return [one, two, three]

    old = parent.start({"word": "geheim"})
    new = rerun(old.id, actor="me", from_step=StepRef("three"), step_input=["geheimer"], data={"w": "geheim"})
    assert new.result(0) == ["geheim", "geheim", "geheimer"]
    stored = [*Step.objects.values_list("output", "input"), *Event.objects.values_list("data")]
    assert not any("geheim" in (text or "") for row in stored for text in row)


def test_ten_thousand_steps_are_copied(declare: Any, configure: Any, calls: list[Any]) -> None:
    """A long run is copied in one statement, and replays from the copies."""
    configure(STEP_LIMIT=10_000)

    @declare()
    def flow(ctx: Any) -> Any:
        for number in range(3):
            yield ctx.step.run("x", calls.append, number)

    old = flow.start()
    first = Step.objects.filter(run_id=old.id).order_by("id").first()
    assert first is not None
    Step.objects.filter(run_id=old.id).exclude(pk=first.pk).delete()
    alias = Run.objects.get()._state.db
    more = [
        Step(run_id=old.id, name="x", index=number, kind="run", status="completed", output="null")
        for number in range(1, 2_000)
    ]
    for step in more:
        step.ended_at = first.ended_at
        step.started_at = first.started_at
    Step.objects.using(alias).bulk_create(more)
    calls.clear()
    new = rerun(old.id, actor="me", from_step=StepRef("x", 1_999))
    assert new.result(0) is None
    assert calls == []
    assert Step.objects.filter(run_id=new.id).count() == 1_999


def test_two_operators_get_two_runs(order: Any) -> None:
    """A rerun has no key: asked twice at the same moment there are two, each complete."""
    old = order.start()
    advance("1s")

    def act() -> str:
        return rerun(old.id, actor="me", from_step=StepRef("three")).id

    ids = set(run_together([act] * 3))
    assert len(ids) == 3
    counted = {id: Step.objects.filter(run_id=id).exclude(name="three").count() for id in ids}
    assert set(counted.values()) == {3}
