"""The idempotency option: of the events with one key, the first in a day starts a run."""

from __future__ import annotations

from typing import Any

import pytest

from durable_django import Event as NewEvent
from durable_django import send_event, send_events, workflow
from durable_django.checks import check_idempotency
from durable_django.engine.route import route_events
from durable_django.exceptions import InvalidDefinition
from durable_django.models import Event, Run
from durable_django.store.base import EventRow
from durable_django.testing import advance, drain
from tests.plugins.store import Store
from tests.threads import run_together


def declare_flow(idempotency: str = "event.data.key", id: str = "flow") -> Any:
    return workflow(id=id, trigger="app/order", idempotency=idempotency)(lambda ctx: ctx.event.data["n"])


def send(key: Any, n: int = 0, id: str = "") -> str:
    return send_event(NewEvent("app/order", {"key": key, "n": n}, id=id))


def test_equal_keys_start_one_run(declare: Any, store: Store) -> None:
    """The first event starts the run; later ones of the same key are stored and start nothing."""

    @declare(id="flow", trigger="app/order", idempotency="event.data.key")
    def flow(ctx: Any) -> Any:
        return (yield ctx.step.run("n", lambda: ctx.event.data["n"]))

    for n in range(3):
        send("a", n)
        send("b", n)
    drain()
    assert Event.objects.count() == 6
    assert list(Run.objects.order_by("id").values_list("key", "result__output")) == [("a", "0"), ("b", "0")]


def test_a_key_is_free_again_after_a_day(store: Store) -> None:
    """The key holds for IDEMPOTENCY_HOURS from the run's creation."""
    declare_flow()
    send("a")
    advance("23h")
    send("a")
    assert Run.objects.count() == 1
    advance("2h")
    send("a")
    send("a")
    assert Run.objects.count() == 2


def test_concurrent_senders_start_one_run(store: Store) -> None:
    """Many who send at one moment start one run."""
    declare_flow()
    run_together([lambda: send("a")] * 6)
    assert Event.objects.count() == 6
    assert Run.objects.count() == 1


def test_a_batch_of_equal_keys_starts_one_run(store: Store) -> None:
    """Events of one call are no exception."""
    declare_flow()
    send_events([NewEvent("app/order", {"key": "a", "n": n}) for n in range(5)])
    assert Run.objects.count() == 1


def test_keys_of_equal_value_are_equal_and_others_are_not(store: Store) -> None:
    """1 and 1.0 are one key; text, numbers, lists and objects do not run into each other."""
    declare_flow()
    for key in (1, 1.0, "1", True, [1], {"a": 1}, "", False, 0):
        send(key)
    assert Run.objects.count() == 8


def test_a_key_belongs_to_a_workflow(store: Store) -> None:
    """Two workflows with the same expression start once each; one without starts every time."""
    declare_flow(id="one")
    declare_flow(id="two")
    workflow(id="free", trigger="app/order")(lambda ctx: None)
    send("a")
    send("a")
    assert sorted(Run.objects.values_list("workflow", flat=True)) == ["free", "free", "one", "two"]


def test_an_event_that_is_routed_again_starts_nothing(store: Store) -> None:
    """Routing can be repeated, also after the key is free again."""
    declare_flow()
    send("a")
    stored = Event.objects.get()
    row = EventRow(id=stored.id, name=stored.name, data=stored.data, ts=stored.ts)
    advance("25h")
    route_events(store.alias, [row])
    assert Run.objects.count() == 1


@pytest.mark.parametrize(
    ("expression", "code"),
    [
        ("event.data.missing", "key_missing"),
        ("event.data.key + 1", ""),
        ("event.data.", "expression_invalid"),
    ],
)
def test_an_event_without_a_key_starts_nothing_and_says_why(
    store: Store, caplog: pytest.LogCaptureFixture, expression: str, code: str
) -> None:
    """A key that is missing or cannot be computed is logged with its code; other workflows start."""
    declare_flow(expression)
    workflow(id="other", trigger="app/order")(lambda ctx: None)
    send("a")
    assert list(Run.objects.values_list("workflow", flat=True)) == ["other"]
    [told] = [each for each in caplog.records if "no idempotency key" in each.message]
    assert told.workflow == "flow"  # type: ignore[attr-defined]
    assert told.code == code or (not code and told.code)  # type: ignore[attr-defined]


def test_a_key_takes_the_place_of_the_event_id(store: Store) -> None:
    """With an expression, two events of different ids and one key start one run."""
    declare_flow()
    send("a", id="x")
    send("a", id="y")
    send("b", id="z")
    assert sorted(Run.objects.values_list("key", flat=True)) == ["a", "b"]


def test_a_long_key_is_told_apart_to_its_end(store: Store) -> None:
    """What is shown of a key is cut, what is compared is not."""
    declare_flow()
    send("x" * 400 + "a")
    send("x" * 400 + "b")
    assert [len(key) for key in Run.objects.values_list("key", flat=True)] == [255, 255]


@pytest.mark.parametrize("idempotency", ["", "  ", 5])
def test_what_is_no_expression_is_refused(idempotency: Any) -> None:
    """An option that cannot work is an error where it is written."""
    with pytest.raises(InvalidDefinition, match="idempotency"):
        declare_flow(idempotency)


def test_an_expression_that_does_not_compile_is_reported(store: Store) -> None:
    """The system check names workflow and column."""
    declare_flow("event.data.")
    declare_flow("event.data.key", id="fine")
    [found] = check_idempotency()
    assert found.id == "durable_django.E015"
    assert "'flow'" in found.msg
    assert "column" in found.msg
