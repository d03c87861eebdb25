"""What the fields that triggers ask for held when an instance was loaded, to tell which of them changed."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from copy import deepcopy
from typing import TYPE_CHECKING, Any, TypeAlias

from django.core.exceptions import FieldDoesNotExist
from django.db.models import Field, Model
from django.db.models.fields.files import FieldFile

if TYPE_CHECKING:
    AnyField: TypeAlias = Field[Any, Any]

ATTRIBUTE = "_durable_django_before"

_tracked: dict[type[Model], dict[str, AnyField]] = {}


def track(model: type[Model], names: Sequence[str]) -> bool:
    """Take snapshots of these fields from now on; return whether the model has any such field."""
    known = _tracked.setdefault(model, {})
    known.update({name: field for name in names if (field := find_field(model, name)) is not None})
    return bool(known)


def find_field(model: type[Model], name: str) -> AnyField | None:
    """Return the field with a column of that name, such as "customer" or "customer_id", or None."""
    try:
        field = model._meta.get_field(name)
    except FieldDoesNotExist:
        return None
    return field if isinstance(field, Field) and field.concrete and not field.many_to_many else None


def take_snapshot(instance: Model, written: Collection[str] | None = None) -> None:
    """Remember the values of the tracked fields, or of those that were written; none is loaded for it."""
    fields = _tracked.get(type(instance))
    if not fields:
        return
    before = instance.__dict__.setdefault(ATTRIBUTE, {})
    for field in fields.values():
        if field.attname in instance.__dict__ and _is_written(field, written):
            before[field.attname] = _freeze(instance.__dict__[field.attname])


def list_changed(instance: Model, written: Collection[str] | None) -> list[str] | None:
    """Return the names of the fields that a save changed, as far as they are tracked or named by it.

    Returns None if nothing is known: no field is tracked and the save wrote all of them.
    """
    fields = _tracked.get(type(instance), {})
    if not fields and written is None:
        return None
    stored = {name: field for name, field in fields.items() if _is_written(field, written)}
    changed = [name for name, field in stored.items() if _differs(instance, field)]
    known = {each for field in fields.values() for each in (field.name, field.attname)}
    return changed + sorted(name for name in written or () if name not in known)


def _is_written(field: AnyField, written: Collection[str] | None) -> bool:
    return written is None or field.name in written or field.attname in written


def _differs(instance: Model, field: AnyField) -> bool:
    before = instance.__dict__.get(ATTRIBUTE, {})
    if field.attname not in instance.__dict__:
        return False  # deferred, so it was not written
    if field.attname not in before:
        return True  # it was deferred, and what it held is not known
    return bool(_freeze(instance.__dict__[field.attname]) != before[field.attname])


def _freeze(value: Any) -> Any:
    if hasattr(value, "resolve_expression"):
        return object()  # computed by the database: differs from everything
    if isinstance(value, FieldFile):
        return value.name
    return deepcopy(value) if isinstance(value, (list, dict, set, bytearray)) else value
