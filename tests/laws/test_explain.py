"""Whatever an event did not start or end leaves a reason that its page shows."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from durable_django import Event as NewEvent
from durable_django import EventTrigger, send_event, send_events, workflow
from durable_django.define.cancel import Cancel
from durable_django.engine.explain_event import Explanation, explain
from durable_django.engine.reasons import DETAIL, KEPT, Reason, read_reasons, write_reasons
from durable_django.engine.route import route_events
from durable_django.engine.say_event import say_outcome, say_unmatched
from durable_django.exceptions import EventNotFound
from durable_django.ids import new_id
from durable_django.models import Event, Run, Wait
from durable_django.store.base import EventRow
from durable_django.testing import advance, drain
from tests.commands import run_durable
from tests.plugins.store import Store
from tests.threads import run_together


def listen(id: str = "flow", trigger: Any = "app/order.paid", **options: Any) -> Any:
    return workflow(id=id, trigger=trigger, **options)(lambda ctx: 1)


def tell(name: str, data: dict[str, Any] | None = None, id: str = "") -> Explanation:
    return explain(send_event(NewEvent(name, data or {}, id=id)))


def codes(told: Explanation) -> list[tuple[str, str]]:
    return [(each.workflow, each.code) for each in told.reasons]


def test_an_event_that_starts_a_run_has_no_reason(store: Store) -> None:
    """What was started is listed; nothing is stored about it."""
    listen()
    told = tell("app/order.paid")
    assert (told.outcome, told.reasons, told.near) == ("used", (), ())
    assert [(run.workflow, run.id) for run in told.runs] == [("flow", Run.objects.get().id)]
    assert Event.objects.get().reasons is None


def test_nobody_listens(store: Store) -> None:
    """The page names the names that resemble the one that was sent."""
    listen(trigger=["app/order.paid", "other/*"])
    told = tell("app/order.payed")
    assert (told.outcome, codes(told), told.near) == ("nothing", [("", "no_workflow")], ("app/order.paid",))
    assert "'app/order.paid'" in say_outcome(told)
    assert tell("zzzzzz").near == ()


def test_a_condition_was_false(store: Store) -> None:
    """The reason holds the condition, which is code, and no data."""
    listen(trigger=EventTrigger("app/order.paid", if_exp="event.data.total > 10"))
    told = tell("app/order.paid", {"total": 7})
    assert told.reasons == (Reason("if_false", "flow", "event.data.total > 10"),)
    assert "7" not in (Event.objects.get().reasons or "")


def test_a_condition_could_not_be_decided(store: Store) -> None:
    """The reason holds the code of the error; other workflows start."""
    listen(trigger=EventTrigger("app/order.paid", if_exp="event.data.total + 1 > 10"))
    listen("other")
    told = tell("app/order.paid", {"total": "much"})
    assert codes(told) == [("flow", "if_failed")]
    assert told.reasons[0].detail
    assert [run.workflow for run in told.runs] == ["other"]


def test_one_of_several_triggers_is_enough(store: Store) -> None:
    """A workflow that one trigger starts leaves no reason for the others."""
    listen(trigger=[EventTrigger("app/*", if_exp="false"), "app/order.paid"])
    assert tell("app/order.paid").reasons == ()


def test_there_is_no_idempotency_key(store: Store) -> None:
    """An expression without a value starts nothing and says so."""
    listen(idempotency="event.data.key")
    told = tell("app/order.paid", {"n": 1})
    assert [(each.code, each.detail) for each in told.reasons] == [("no_key", "key_missing")]


@pytest.mark.parametrize("by", ["id", "key"])
def test_a_duplicate_names_the_run(store: Store, by: str) -> None:
    """A copy of an event leads to the run that the first one started, also when its key is free again."""
    listen(idempotency="event.data.key") if by == "key" else listen()
    first = tell("app/order.paid", {"key": "k"}, id="the id" if by == "id" else "")
    second = tell("app/order.paid", {"key": "k"}, id="the id" if by == "id" else "")
    assert (second.outcome, second.reasons[0].run) == ("duplicate", str(first.runs[0].id))
    assert second.reasons[0].detail == ("key k" if by == "key" else f"event {first.event_id}")
    advance("25h")
    third = tell("app/order.paid", {"key": "k"}, id="the id" if by == "id" else "")
    assert third.outcome == "used"
    assert explain(second.event_id).reasons == second.reasons
    assert explain(first.event_id).reasons == ()


def test_duplicates_in_one_batch(store: Store) -> None:
    """The first of a list starts the run; each copy says so."""
    listen()
    ids = send_events([NewEvent("app/order.paid", {}, id="x") for _ in range(3)])
    told = [explain(each) for each in ids]
    assert [each.outcome for each in told] == ["used", "duplicate", "duplicate"]
    assert {each.reasons[0].run for each in told[1:]} == {str(told[0].runs[0].id)}


def test_duplicates_at_one_moment(store: Store) -> None:
    """Of many senders at once one starts the run, and all others have the reason."""
    listen()
    ids = run_together([lambda: send_event(NewEvent("app/order.paid", {}, id="x"))] * 5)
    outcomes = sorted(explain(each).outcome for each in ids)
    assert outcomes == ["duplicate"] * 4 + ["used"]


def test_routing_again_keeps_the_reasons(store: Store) -> None:
    """An event that is routed twice is no duplicate of itself."""
    listen(trigger=EventTrigger("app/order.paid", if_exp="false"))
    listen("other")
    event = Event.objects.get(id=send_event(NewEvent("app/order.paid", {}, id="x")))
    before = explain(event.id)
    Event.objects.update(routed_at=None)
    route_events(
        store.alias, [EventRow(id=event.id, name=event.name, data=event.data, ts=event.ts, external_id="x")]
    )
    assert explain(event.id) == before
    assert codes(before) == [("flow", "if_false")]


def test_reasons_cost_no_statement(store: Store) -> None:
    """An event that starts nothing is stored and routed in as many statements whether or not it has a reason."""
    listen(trigger=EventTrigger("app/order.paid", if_exp="event.data.x == 1"))
    counts = []
    for name in ("app/order.paid", "app/nobody", "durable"):
        with CaptureQueriesContext(connections[store.alias]) as captured:
            send_event(name)
        counts.append(len(captured))
    assert counts == [2] * 3 if store.name == "postgres" else len(set(counts)) == 1


def test_reasons_are_bounded(store: Store) -> None:
    """At most 20 reasons of at most 255 characters are kept."""
    for number in range(KEPT + 5):
        listen(f"flow{number}", EventTrigger("app/order.paid", if_exp=f"event.data.x == '{'y' * 400}'"))
    told = tell("app/order.paid")
    assert len(told.reasons) == KEPT
    assert {len(each.detail) for each in told.reasons} == {DETAIL}
    assert read_reasons(write_reasons([Reason("later_code", "w", "d")])) == [Reason("later_code", "w", "d")]
    assert str(Reason("later_code", "w", "{0} {x}")) == "w: {0} {x}"


def test_an_unknown_event(store: Store) -> None:
    """An id that is not stored, or no id at all, is refused with a code."""
    for text in (new_id(), "no id"):
        with pytest.raises(EventNotFound):
            explain(text)


# --- waits -----------------------------------------------------------------------------------------


def ask(declare: Any, **question: Any) -> Any:
    @declare(id="asking")
    def asking(ctx: Any) -> Any:
        yield ctx.step.wait_for_event("w", event="app/answer", timeout="1h", **question)

    return asking


def test_what_an_event_resumed(declare: Any) -> None:
    """The page lists the waits that the event ended, with their conditions."""
    handle = ask(declare, match="data.n").start({"n": 1})
    told = tell("app/answer", {"n": 1})
    assert told.outcome == "used"
    assert [(str(each.run_id), each.step, each.condition) for each in told.resumed] == [
        (handle.id, "w", "async.data.n == event.data.n")
    ]
    assert told.unmatched == ()


def test_what_an_event_cancelled(store: Store) -> None:
    """A cancel rule that the event ended is listed as such."""
    flow = workflow(id="flow", trigger="app/begin", cancel_on=[Cancel("app/stop", match="data.n")])(
        lambda ctx: ctx.step.sleep("s", "1h")
    )
    assert flow.id == "flow"
    send_event("app/begin", {"n": 1})
    told = tell("app/stop", {"n": 1})
    assert [each.run_id for each in told.cancelled] == [Run.objects.get().id]
    assert told.outcome == "used"
    assert Run.objects.get().status == "cancelled"


def test_which_comparison_was_false(declare: Any) -> None:
    """A wait that did not match shows the comparison that was false with both values, others not."""
    ask(declare, if_exp="async.data.ok && async.data.n == event.data.n && async.data.k > 5").start({"n": 1})
    (wait,) = tell("app/answer", {"n": 2, "ok": True, "k": 6}).unmatched
    assert wait.why == "condition"
    assert say_unmatched(wait) == (
        "async.data.n == event.data.n is false: event.data.n = 1, async.data.n = 2"
    )


def test_a_field_is_missing(declare: Any) -> None:
    """A field that the event lacks is named as missing."""
    ask(declare, match="data.n").start({"n": 1})
    (wait,) = tell("app/answer", {"m": 1}).unmatched
    assert say_unmatched(wait).endswith("event.data.n = 1, async.data.n is missing")


def test_values_are_masked(declare: Any, configure: Any) -> None:
    """Fields named in REDACT are masked, and so is what lies below them."""
    configure(REDACT=["secret"])
    ask(declare, if_exp="async.data.secret.x == event.data.secret.x").start({"secret": {"x": "abc123"}})
    (wait,) = tell("app/answer", {"secret": {"x": "def456"}}).unmatched
    said = say_unmatched(wait)
    assert said.count("[redacted]") == 2
    assert "abc123" not in said
    assert "def456" not in said


def test_waits_that_no_comparison_kept_away(declare: Any) -> None:
    """Earlier events, expired waits and the run's own event are told apart."""
    early = send_event("app/answer", {"n": 1})
    ask(declare, match="data.n").start({"n": 1})
    assert [each.why for each in explain(early).unmatched] == ["earlier"]
    Wait.objects.update(expires_at="2000-01-01T00:00:00Z")
    assert [each.why for each in tell("app/answer", {"n": 1}).unmatched] == ["expired"]


def test_at_most_twenty_waits(declare: Any) -> None:
    """Of many open waits the newest twenty are compared."""
    flow = ask(declare, match="data.n")
    for _ in range(22):
        flow.start({"n": 1})
    assert len(tell("app/answer", {"n": 2}).unmatched) == 20


# --- where it is shown -----------------------------------------------------------------------------


def test_the_command(declare: Any) -> None:
    """``durable event`` shows payload, outcome and reasons, as text and as JSON."""
    listen()
    ask(declare, match="data.n").start({"n": 1})
    event_id = send_event("app/answer", {"n": 2})
    said = run_durable("event", event_id)
    assert "no workflow listens to this name [no_workflow]" in said.out
    assert "async.data.n = 2" in said.out
    data = run_durable("event", event_id, "--json").data
    assert (data["id"], data["outcome"]) == (event_id, "nothing")
    assert data["reasons"][0]["code"] == "no_workflow"
    assert data["unmatched"][0]["unmet"][0]["reads"][1] == {"path": "async.data.n", "value": 2, "found": True}
    used = run_durable("event", send_event("app/order.paid"))
    assert str(Run.objects.get(workflow="flow").id) in used.out
    assert "event_not_found" in run_durable("event", str(new_id()), fails=True).error


def test_the_admin_page(declare: Any, admin_client: Any) -> None:
    """The event's page says why it started nothing, and what was compared."""
    ask(declare, match="data.n").start({"n": "<b>"})
    event_id = send_event("app/answer", {"n": 2})
    page = admin_client.get(reverse("admin:durable_django_event_change", args=[event_id])).content.decode()
    assert "no workflow listens to this name" in page
    assert "async.data.n = 2" in page
    assert "&lt;b&gt;" in page
    done = send_event("app/answer", {"n": "<b>"})
    drain()
    page = admin_client.get(reverse("admin:durable_django_event_change", args=[done])).content.decode()
    assert "async.data.n == event.data.n" in page
