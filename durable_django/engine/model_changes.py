"""Send an event when a row changes, for the models that a trigger names: Django's signals do the seeing.

Note [A model's event is part of the change]
    The event is stored on the connection that the change was made on, so inside ``transaction.atomic()`` both
    are committed or neither. Django sends ``post_save`` after the statement: of a ``save()`` in
    autocommit the row is committed first, and a process that dies in between sends nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.apps import apps
from django.db.models import Model
from django.db.models.signals import post_delete, post_init, post_save

from ..define.model_change import ModelChange, name_event
from ..define.registry import registry
from ..define.workflow import Workflow
from ..ids import new_id
from ..store.event import insert_events
from .alias import get_alias
from .meant import wants
from .receive import prepare_event
from .route import route_after_commit
from .snapshot import list_changed, take_snapshot, track

logger = logging.getLogger("durable_django.models")

UID = "durable_django.model_change"


def watch_models() -> None:
    """Connect the models of all triggers, of workflows that are registered now and later."""
    registry.watch(connect)


def connect(workflow: Workflow[..., Any]) -> None:
    """Connect the signals that the workflow's triggers need; doing it again changes nothing."""
    for trigger in workflow.triggers:
        if isinstance(trigger, ModelChange):
            _connect(trigger)


def _connect(trigger: ModelChange) -> None:
    try:
        model = apps.get_model(trigger.label)
    except LookupError:
        logger.warning("a trigger names a model that is not installed", extra={"model": trigger.label})
        return
    signal, receiver = (post_delete, _see_delete) if trigger.change == "deleted" else (post_save, _see_save)
    for sender in _list_senders(model):
        signal.connect(receiver, sender=sender, dispatch_uid=UID)
        if track(sender, trigger.fields):
            post_init.connect(_see_init, sender=sender, dispatch_uid=UID)


def _list_senders(model: type[Model]) -> list[type[Model]]:
    # Saved through a proxy, a row sends the proxy's signals only.
    proxies = [each for each in apps.get_models() if each._meta.proxy and each._meta.concrete_model is model]
    return [model, *proxies]


def _see_init(sender: type[Model], instance: Model, **kwargs: Any) -> None:
    take_snapshot(instance)


def _see_save(
    sender: type[Model],
    instance: Model,
    created: bool,
    raw: bool,
    using: str,
    update_fields: Collection[str] | None,
    **kwargs: Any,
) -> None:
    if raw:  # a fixture is loaded; other rows may not be there yet
        return
    changed = None if created else list_changed(instance, update_fields)
    take_snapshot(instance, update_fields)
    _send(sender, "created" if created else "updated", instance, using, changed)


def _see_delete(sender: type[Model], instance: Model, using: str, **kwargs: Any) -> None:
    _send(sender, "deleted", instance, using, None)


def _send(sender: type[Model], change: str, instance: Model, using: str, changed: list[str] | None) -> None:
    for label in _list_labels(sender):
        if not any(wants(trigger, changed) for trigger in _find_triggers(name_event(label, change))):
            continue
        if using != get_alias():
            logger.info("a change in another database starts nothing", extra={"model": label, "using": using})
            continue
        _store(using, label, change, instance, changed)


def _list_labels(sender: type[Model]) -> list[str]:
    concrete = sender._meta.concrete_model
    own = [sender._meta.label_lower]
    return own if concrete is None or concrete is sender else [*own, concrete._meta.label_lower]


def _find_triggers(name: str) -> Iterable[ModelChange]:
    for workflow in registry:
        for trigger in workflow.triggers:
            if isinstance(trigger, ModelChange) and trigger.event == name:
                yield trigger


def _store(using: str, label: str, change: str, instance: Model, changed: list[str] | None) -> None:
    app, _, model = label.partition(".")
    data = {"app": app, "model": model, "pk": _read_key(instance.pk), "change": change, "fields": changed}
    event = {"name": name_event(label, change), "data": data}
    row = prepare_event(event, "", "model", new_id(), internal=True)
    route_after_commit(using, insert_events(using, [row]))


def _read_key(key: Any) -> Any:
    if isinstance(key, tuple):  # a composite primary key
        return [_read_key(part) for part in key]
    return key if isinstance(key, (int, str, UUID, Decimal)) else str(key)
