"""What became of an event, over HTTP and on the command line, for each thing that can become of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from durable_django import Cancel, EventTrigger, ModelChange, send_event, workflow
from durable_django import Event as NewEvent
from durable_django.engine.keys import create_key
from durable_django.models import Event, Run, Wait
from tests.app.models import Ticket
from tests.commands import run_durable
from tests.plugins.store import Store

NAME = "app/order.paid"


def listen(id: str = "flow", trigger: Any = NAME, **options: Any) -> Any:
    return workflow(id=id, trigger=trigger, **options)(lambda ctx: 1)


def no_workflow() -> str:
    listen()
    return send_event("app/order.payed")


def if_false() -> str:
    listen(trigger=EventTrigger(NAME, if_exp="event.data.total > 10"))
    return send_event(NAME, {"total": 7})


def if_failed() -> str:
    listen(trigger=EventTrigger(NAME, if_exp="event.data.total + 1 > 10"))
    return send_event(NAME, {"total": "much"})


def fields_unchanged() -> str:
    listen(trigger=ModelChange(Ticket, "updated", fields=["title"]))
    listen("other", trigger=ModelChange(Ticket, "updated", fields=["status"]))
    ticket = Ticket.objects.create(title="a")
    ticket.status = "closed"
    ticket.save(update_fields=["status"])
    return str(Event.objects.get(source="model").id)


def no_key() -> str:
    listen(idempotency="event.data.key")
    return send_event(NAME, {})


def duplicate() -> str:
    listen()
    send_event(NewEvent(NAME, {}, id="mine"))
    return send_event(NewEvent(NAME, {}, id="mine"))


CASES: dict[str, tuple[Callable[[], str], str, str]] = {
    "no_workflow": (no_workflow, "nothing", "no workflow listens to this name"),
    "if_false": (if_false, "nothing", "flow: the condition was false: event.data.total > 10"),
    "if_failed": (if_failed, "nothing", "flow: the condition could not be decided"),
    "fields_unchanged": (fields_unchanged, "used", "flow: no field that it asks for was changed"),
    "no_key": (no_key, "nothing", "flow: its idempotency expression gave no key"),
    "duplicate": (duplicate, "duplicate", "flow: duplicate of event "),
}


def ask(event_id: str) -> Any:
    key = create_key("reader", actor="test", scopes=["read"]).text
    answer = Client().get(f"/durable/v1/events/{event_id}", headers={"authorization": f"Bearer {key}"})
    assert answer.status_code == 200, answer.content
    return answer.json()["data"]


@pytest.mark.parametrize("code", list(CASES))
def test_why_nothing_started(store: Store, code: str) -> None:
    """The API and the command tell the outcome and each reason, as a code and as a sentence."""
    make, outcome, text = CASES[code]
    event_id = make()
    told = ask(event_id)
    assert (told["outcome"], [each["code"] for each in told["reasons"]]) == (outcome, [code])
    assert told["reasons"][0]["text"].startswith(text)
    assert bool(told["near"]) == (code == "no_workflow")
    said = run_durable("event", event_id)
    assert text in said.out
    assert f"[{code}]" in said.out
    shown = run_durable("event", event_id, "--json").data
    assert [each["code"] for each in shown["reasons"]] == [code]
    assert shown["outcome"] == outcome


def test_every_reason_is_in_the_table() -> None:
    """A reason that the engine can give has a case here."""
    from durable_django.engine.reasons import Why

    assert {str(code) for code in Why} == set(CASES)


def test_a_duplicate_names_the_run_that_it_would_have_started(store: Store) -> None:
    """The run in the reason is the one that the first copy started."""
    told = ask(duplicate())
    assert told["reasons"][0]["run"] == str(Run.objects.get().id)


def test_what_an_event_did(store: Store) -> None:
    """Runs that it started, waits that it ended, runs that it cancelled, and waits that it did not end."""

    @workflow(id="asker", trigger="app/ask", cancel_on=[Cancel("app/stop", match="data.n")])
    def asker(ctx: Any) -> Any:
        return ctx.step.wait_for_event("paid", event=NAME, match="data.n", timeout="1h")

    listen("other")
    for number in (1, 2, 3):
        send_event("app/ask", {"n": number})
    assert Wait.objects.filter(event_name=NAME).count() == 3
    told = ask(send_event(NAME, {"n": 2}))
    assert (told["outcome"], [run["workflow"] for run in told["runs"]]) == ("used", ["other"])
    assert [(wait["workflow"], wait["step"]) for wait in told["resumed"]] == [("asker", "paid")]
    assert {each["why"] for each in told["unmatched"]} == {"condition"}
    assert len(told["unmatched"]) == 2
    stopped = ask(send_event("app/stop", {"n": 1}))
    assert [each["workflow"] for each in stopped["cancelled"]] == ["asker"]


def test_an_event_that_is_not_routed_yet(store: Store) -> None:
    """Until it is routed, an event is pending and has no reasons."""
    event = Event.objects.using(store.alias).create(name=NAME, ts=1)
    told = ask(str(event.id))
    assert (told["outcome"], told["reasons"], told["runs"]) == ("pending", [], [])
