"""What operators do with events: send, send again, look what would come of one, start a workflow by hand."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.fernet import Fernet

from durable_django import Cancel, EventTrigger, send_event
from durable_django.contrib.encryption import EncryptionHook
from durable_django.engine.operations import invoke_workflow, plan_event, resend_event, send_as
from durable_django.exceptions import EventNotFound, EventRefused, InvalidEvent, UnknownWorkflow
from durable_django.models import AuditEntry, Event, Run, RunSubject, Step, Wait, WaitKey


@pytest.fixture
def adding(declare: Any) -> Any:
    @declare(id="adding", trigger="app/add")
    def adding(ctx: Any) -> Any:
        if False:
            yield
        return ctx.event.data

    return adding


@pytest.fixture
def asking(declare: Any) -> Any:
    @declare(id="asking", trigger="app/ask")
    def asking(ctx: Any) -> Any:
        yield ctx.step.wait_for_event("ask", event="app/add", match="data.n", timeout="1h")

    return asking


def snapshot() -> list[Any]:
    tables = (Event, Run, Step, Wait, WaitKey, AuditEntry, RunSubject)
    return [list(table.objects.order_by("pk").values()) for table in tables]


def test_an_operator_sends_an_event(adding: Any) -> None:
    """It is an event like any other, marked as an operator's, and the operator log names it."""
    id = send_as("app/add", {"n": 1}, actor="ann", reason="to see")
    assert Event.objects.get().source == "operator"
    assert Run.objects.get().status == "completed"
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.actor, entry.reason) == ("send", "ann", "to see")
    assert id in entry.result


def test_an_event_that_is_not_valid_is_not_sent(adding: Any) -> None:
    """A reserved or empty name leaves neither event nor audit row."""
    for name in ("", "durable/run.finished"):
        with pytest.raises(InvalidEvent):
            send_as(name, {}, actor="me")
    assert not Event.objects.exists()
    assert not AuditEntry.objects.exists()


def test_an_event_is_sent_again(adding: Any) -> None:
    """The new event is no duplicate of the old one, though that had the sender's id; data can be edited."""
    send_event({"name": "app/add", "data": {"n": 1}, "id": "once", "user": {"name": "u"}, "v": "2"})
    old = Event.objects.get()
    resend_event(old.id, actor="me")
    resend_event(old.id, actor="me", data={"n": 2})
    assert [run.result.output for run in Run.objects.order_by("id")] == ['{"n":1}', '{"n":1}', '{"n":2}']
    new = Event.objects.exclude(id=old.id).first()
    assert new is not None
    assert (new.external_id, new.extra, new.source) == (None, old.extra, "operator")
    assert AuditEntry.objects.filter(action="resend").count() == 2


def test_an_encrypted_event_is_sent_again(adding: Any, configure: Any) -> None:
    """What a hook bound to the old event's id is bound to the new one's."""
    configure(HOOKS=[EncryptionHook([Fernet.generate_key()], events="data")])
    id = send_event("app/add", {"word": "geheim"})
    resend_event(id, actor="me")
    assert not any("geheim" in data for data in Event.objects.values_list("data", flat=True))
    assert list(Run.objects.values_list("status", flat=True)) == ["completed"] * 2


def test_the_input_of_a_run_is_not_resent(adding: Any) -> None:
    """An event that only holds the input of a run would start nothing; the run is to be rerun."""
    adding.start({"n": 1})
    with pytest.raises(EventRefused, match="rerun"):
        resend_event(Event.objects.get().id, actor="me")
    with pytest.raises(EventNotFound):
        resend_event("0190b9a5-0000-7000-8000-000000000000", actor="me")
    assert not AuditEntry.objects.exists()


def test_a_dry_run_tells_what_will_happen(declare: Any, adding: Any, asking: Any) -> None:
    """The forecast names the workflows and waits that the event then starts and ends, and changes no row."""

    @declare(id="stoppable", trigger="app/stoppable", cancel_on=[Cancel(event="app/add", match="data.n")])
    def stoppable(ctx: Any) -> Any:
        yield ctx.step.sleep("nap", "1h")

    @declare(id="picky", trigger=EventTrigger("app/add", if_exp="event.data.n > 5"))
    def picky(ctx: Any) -> Any:
        if False:
            yield

    for n in (1, 1, 2):
        send_event("app/ask", {"n": n})
        send_event("app/stoppable", {"n": n})
    before = snapshot()
    plan = plan_event("app/add", {"n": 1})
    assert snapshot() == before
    assert plan.starts == ("adding",)
    assert [(each.workflow, each.step) for each in plan.ends] == [("asking", "ask")] * 2
    assert [each.workflow for each in plan.cancels] == ["stoppable"] * 2
    assert [(each.workflow, each.code) for each in plan.refused] == [("picky", "if_false")]
    assert plan.as_dict()["starts"] == ("adding",)
    id = send_event("app/add", {"n": 1})
    assert set(Run.objects.filter(event_id=id).values_list("workflow", flat=True)) == set(plan.starts)
    ended = Wait.objects.filter(event_id=id)
    assert set(ended.exclude(kind="cancel").values_list("id", flat=True)) == {e.wait_id for e in plan.ends}
    assert set(ended.filter(kind="cancel").values_list("run_id", flat=True)) == {
        e.run_id for e in plan.cancels
    }


def test_a_dry_run_knows_duplicates_and_misspelt_names(adding: Any) -> None:
    """It says which workflow an earlier event with the same id has started, and which name was meant."""
    send_event({"name": "app/add", "id": "once"})
    plan = plan_event("app/add", id="once")
    assert (plan.starts, [each.code for each in plan.refused]) == ((), ["duplicate"])
    plan = plan_event("app/addd")
    assert ([each.code for each in plan.refused], plan.near) == (["no_workflow"], ("app/add",))
    with pytest.raises(InvalidEvent):
        plan_event("")


def test_a_workflow_is_invoked_by_hand(adding: Any) -> None:
    """The run says that an operator started it; a key starts one run; an unknown id starts none."""
    run = invoke_workflow("adding", {"n": 1}, actor="ann", key="k")
    again = invoke_workflow("adding", {"n": 2}, actor="ann", key="k")
    assert (run.result(0), again.id) == ({"n": 1}, run.id)
    assert Run.objects.get().origin == "operator"
    assert {str(each.run_id) for each in AuditEntry.objects.filter(action="invoke")} == {run.id}
    with pytest.raises(UnknownWorkflow):
        invoke_workflow("adingd", {}, actor="ann")
    with pytest.raises(InvalidEvent):
        invoke_workflow("adding", [], actor="ann")  # type: ignore[arg-type]
    assert Run.objects.count() == 1
