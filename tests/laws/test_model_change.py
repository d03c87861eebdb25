"""Model triggers: which changes send an event, in whose transaction, and what it says."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from django.core import serializers
from django.db import models, transaction

from durable_django import ModelChange, workflow
from durable_django.checks import check_model_triggers
from durable_django.define.workflow import Workflow
from durable_django.engine import snapshot
from durable_django.engine.codec import decode
from durable_django.engine.model_changes import connect
from durable_django.exceptions import InvalidDefinition
from durable_django.models import Event, Run
from durable_django.testing import drain
from tests.app.models import Effect, Ticket, UrgentTicket
from tests.plugins.store import Store


@pytest.fixture(autouse=True)
def untracked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the fields that this test's workflows ask for are watched."""
    monkeypatch.setattr(snapshot, "_tracked", {})


def listen(*triggers: ModelChange, id: str = "listener") -> Workflow[Any, Any]:
    return workflow(id=id, trigger=list(triggers))(lambda ctx: dict(ctx.event.data))


def list_events() -> list[tuple[str, Any, Any]]:
    """What was sent: the change, the key, the fields, oldest first."""
    told = [decode(each.data) for each in Event.objects.filter(source="model").order_by("id")]
    return [(each["change"], each["pk"], each["fields"]) for each in told]


@pytest.mark.parametrize(
    ("model", "change", "fields"),
    [
        (Ticket, "changed", []),
        (Ticket, "created", ["status"]),
        (Ticket, "updated", "status"),
        (Ticket, "updated", [5]),
        ("Ticket", "created", []),
        ("a.b.c", "created", []),
        (".", "created", []),
        (Store, "created", []),
        (None, "created", []),
    ],
)
def test_a_trigger_that_cannot_work_is_refused(model: Any, change: Any, fields: Any) -> None:
    """Model, change and fields are checked where they are written."""
    with pytest.raises(InvalidDefinition):
        ModelChange(model, change, fields)


def test_a_trigger_is_the_same_however_the_model_is_given() -> None:
    """A class and its label mean one trigger, which a workflow may have once."""
    assert ModelChange(Ticket, "created").identity == ModelChange("TestApp.ticket", "created").identity
    with pytest.raises(InvalidDefinition, match="given twice"):
        listen(ModelChange(Ticket, "created"), ModelChange("testapp.Ticket", "created"))


def test_each_change_starts_the_workflow_that_asks_for_it(declare: Any, store: Store) -> None:
    """Created, updated and deleted rows start runs, with the row's key in the event."""
    seen: list[Any] = []
    for change in ("created", "updated", "deleted"):

        @declare(id=change, trigger=ModelChange("testapp.Ticket", change))
        def note(ctx: Any) -> Any:
            yield ctx.step.run("see", lambda: seen.append((ctx.event.name, dict(ctx.event.data))))

    ticket = Ticket.objects.create(title="a")
    key = ticket.pk
    ticket.title = "b"
    ticket.save()
    ticket.delete()
    drain()
    common = {"app": "testapp", "model": "ticket", "pk": key, "fields": None}
    assert seen == [
        (f"durable/model.testapp.ticket.{change}", common | {"change": change})
        for change in ("created", "updated", "deleted")
    ]


def test_the_event_is_part_of_the_change(store: Store) -> None:
    """Rolled back, the change sent nothing; committed, its event is there."""
    listen(ModelChange(Ticket, "created"))
    with transaction.atomic(using=store.alias):
        Ticket.objects.create(title="lost")
        assert Event.objects.count() == 1
        transaction.set_rollback(True, using=store.alias)
    assert not Event.objects.exists()
    with transaction.atomic(using=store.alias):
        ticket = Ticket.objects.create(title="kept")
        assert not Run.objects.exists()
    assert list_events() == [("created", ticket.pk, None)]
    assert Run.objects.count() == 1


def test_a_model_without_listeners_sends_nothing(store: Store, registry: Any) -> None:
    """Other models, other changes, and workflows that are gone cost no event."""
    before = registry.snapshot()
    listen(ModelChange(Ticket, "deleted"))
    Ticket.objects.create()
    Effect.objects.create(key="x").delete()
    registry.restore(before)
    Ticket.objects.get().delete()
    assert not Event.objects.exists()


def test_connecting_twice_sends_once(store: Store) -> None:
    """A second workflow, or a module that is loaded again, does not double the events."""
    first = listen(ModelChange(Ticket, "created"), id="one")
    listen(ModelChange(Ticket, "created"), ModelChange(Ticket, "updated"), id="two")
    connect(first)
    ticket = Ticket.objects.create()
    assert list_events() == [("created", ticket.pk, None)]
    assert set(Run.objects.values_list("workflow", flat=True)) == {"one", "two"}


def test_fixtures_are_no_changes(store: Store) -> None:
    """Rows that loaddata writes send nothing: other rows may not be there yet."""
    listen(ModelChange(Ticket, "created"))
    text = '[{"model": "testapp.ticket", "pk": 5, "fields": {"title": "raw"}}]'
    for each in serializers.deserialize("json", text, using=store.alias):
        each.save(using=store.alias)
    assert Ticket.objects.get().title == "raw"
    assert not Event.objects.exists()


def test_bulk_operations_are_not_seen_but_deletions_are(store: Store) -> None:
    """Django signals no bulk writes; QuerySet.delete and cascades are signalled row by row."""
    listen(*(ModelChange(Ticket, change) for change in ("created", "updated", "deleted")))  # type: ignore[arg-type]
    effect = Effect.objects.create(key="x")
    Ticket.objects.bulk_create([Ticket(title="a"), Ticket(title="b", effect=effect)])
    Ticket.objects.update(status="done")
    assert not Event.objects.exists()
    Ticket.objects.filter(title="a").delete()
    effect.delete()
    assert [change for change, _, _ in list_events()] == ["deleted", "deleted"]


def test_a_change_through_a_proxy_is_a_change_of_the_model(store: Store) -> None:
    """A proxy's rows are the model's rows; who asks for the proxy sees what went through it."""
    listen(ModelChange(Ticket, "created"), id="all")
    listen(ModelChange(UrgentTicket, "created"), id="urgent")
    UrgentTicket.objects.create()
    assert set(Run.objects.values_list("workflow", flat=True)) == {"all", "urgent"}
    Ticket.objects.create()
    assert Run.objects.filter(workflow="urgent").count() == 1
    assert Run.objects.filter(workflow="all").count() == 2


# --- fields ---------------------------------------------------------------------------------------


@pytest.fixture
def ticket(store: Store) -> Ticket:
    """A stored ticket, loaded afresh, for a workflow that asks for status and tags."""
    listen(ModelChange(Ticket, "updated", fields=["status", "tags", "effect_id"]))
    return Ticket.objects.get(pk=Ticket.objects.create(title="a", tags=["x"]).pk)


def test_only_the_fields_that_are_asked_for_count(ticket: Ticket) -> None:
    """A save that changes other fields, or none, starts nothing."""
    ticket.save()
    ticket.title = "b"
    ticket.save()
    assert not Event.objects.exists()
    ticket.status, ticket.title = "open", "c"
    ticket.save()
    assert list_events() == [("updated", ticket.pk, ["status"])]
    ticket.save()
    assert len(list_events()) == 1


def test_a_value_that_is_changed_in_place_is_seen(ticket: Ticket) -> None:
    """A list is compared with what it held, not with itself."""
    ticket.tags.append("y")
    ticket.save()
    assert list_events() == [("updated", ticket.pk, ["tags"])]


def test_a_foreign_key_is_watched_by_its_column(ticket: Ticket) -> None:
    """Either name of a foreign key may be asked for, and no related row is loaded."""
    ticket.effect = Effect.objects.create(key="x")
    ticket.save()
    assert list_events() == [("updated", ticket.pk, ["effect_id"])]


def test_update_fields_decides_what_was_written(ticket: Ticket) -> None:
    """A field that is not written has not changed yet; it counts when it is written."""
    ticket.status, ticket.title = "open", "b"
    ticket.save(update_fields=["title"])
    assert not Event.objects.exists()
    ticket.save(update_fields=["status", "title"])
    assert list_events() == [("updated", ticket.pk, ["status", "title"])]


def test_a_value_that_the_database_computes_is_a_change(ticket: Ticket) -> None:
    """What an F() expression gives is not known here, so it counts as changed."""
    ticket.status = models.F("title")
    ticket.save()
    assert list_events() == [("updated", ticket.pk, ["status"])]


def test_a_deferred_field_is_not_loaded_and_not_changed(ticket: Ticket, store: Store) -> None:
    """A save that does not write a field says nothing of it; one that was assigned unseen counts."""
    part = Ticket.objects.only("title").get()
    part.title = "b"
    part.save()
    assert not Event.objects.exists()
    part.status = "open"
    part.save()
    assert list_events() == [("updated", ticket.pk, ["status", "title"])]


def test_without_fields_a_trigger_sees_every_save(store: Store) -> None:
    """The event tells the written fields if the save names them."""
    listen(ModelChange(Effect, "updated"))
    effect = Effect.objects.create(key="x")
    effect.save()
    effect.save(update_fields=["n"])
    assert list_events() == [("updated", effect.pk, None), ("updated", effect.pk, ["n"])]


def test_of_two_workflows_each_gets_its_fields(ticket: Ticket) -> None:
    """One event is sent, and starts the workflows whose fields changed."""
    listen(ModelChange(Ticket, "updated", fields=["title"]), id="by-title")
    listen(ModelChange(Ticket, "updated"), id="any")
    loaded = Ticket.objects.get(pk=ticket.pk)
    loaded.title = "b"
    loaded.save()
    assert len(list_events()) == 1
    assert set(Run.objects.values_list("workflow", flat=True)) == {"by-title", "any"}


# --- checks ---------------------------------------------------------------------------------------


def test_a_model_that_cannot_be_watched_is_reported(store: Store) -> None:
    """Unknown models and fields are system check errors, and stop nothing else."""
    listen(ModelChange("shop.Nothing", "created"), id="one")
    listen(ModelChange(Ticket, "updated", fields=["status", "colour"]), id="two")
    found = check_model_triggers()
    assert [each.id for each in found] == ["durable_django.E016", "durable_django.E017"]
    assert "'shop.nothing'" in found[0].msg
    assert "'colour'" in found[1].msg


def test_a_model_of_another_database_is_refused(store: Store, settings: Any) -> None:
    """A change and its event are one transaction or the trigger is an error."""
    listen(ModelChange("auth.Group", "created"))
    expected = [] if store.alias == "default" else ["durable_django.E018"]
    assert [each.id for each in check_model_triggers()] == expected


def test_a_change_in_another_database_starts_nothing(store: Store, request: Any) -> None:
    """What is saved elsewhere with using= is another table's row."""
    request.getfixturevalue("postgres_database")
    other = "postgres" if store.alias == "default" else "default"
    listen(ModelChange(Ticket, "created"))
    Ticket(title="elsewhere").save(using=other)
    Ticket.objects.using(other).all().delete()
    assert not Event.objects.exists()
    assert not Event.objects.using(other).exists()


def test_the_key_of_the_event_is_plain() -> None:
    """Keys of any type are told as values that the codec knows."""
    from durable_django.engine.model_changes import _read_key

    key = UUID(int=5)
    assert [_read_key(each) for each in (5, "a", key, (1, key), b"x")] == [5, "a", key, [1, key], "b'x'"]
