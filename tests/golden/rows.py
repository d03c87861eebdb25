"""Rows of the durable tables as JSON lines, moved in time so that they are as old as they were."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

from django.apps import apps
from django.core import serializers
from django.db import connections, models, transaction

from durable_django.clock import read_now
from durable_django.store.base import ARRIVAL_SEQUENCE


def dump(using: str) -> Iterator[dict[str, Any]]:
    """Give the time, the last arrival, and each row of each table."""
    with connections[using].cursor() as cursor:
        cursor.execute(f"SELECT last_value FROM {ARRIVAL_SEQUENCE}")
        yield {"now": read_now(using).isoformat(), "arrival": cursor.fetchone()[0]}
    for model in apps.get_app_config("durable_django").get_models():
        rows = model._default_manager.using(using).order_by("pk")
        yield from (json.loads(line) for line in serializers.serialize("jsonl", rows).splitlines())


def load(using: str, rows: Iterable[dict[str, Any]]) -> None:
    """Store the rows, all of their instants moved from the time of the dump to now."""
    head, *rest = rows
    moved = read_now(using) - datetime.fromisoformat(head["now"])
    with transaction.atomic(using=using):
        for each in serializers.deserialize("python", rest, using=using, ignorenonexistent=True):
            _move(each.object, moved)
            each.object.save_base(using=using, raw=True, force_insert=True)
    with connections[using].cursor() as cursor:
        if connections[using].vendor == "postgresql":
            cursor.execute(f"SELECT setval('{ARRIVAL_SEQUENCE}', %s)", [head["arrival"]])
            for statement in _reset_sequences(using):
                cursor.execute(statement)
        else:
            cursor.execute(f"UPDATE {ARRIVAL_SEQUENCE} SET last_value = %s", [head["arrival"]])


def _move(row: models.Model, by: timedelta) -> None:
    for field in row._meta.concrete_fields:
        value = getattr(row, field.attname)
        if isinstance(field, models.DateTimeField) and value is not None:
            setattr(row, field.attname, value + by)


def _reset_sequences(using: str) -> list[str]:
    from django.core.management.color import no_style

    listed = list(apps.get_app_config("durable_django").get_models())
    return connections[using].ops.sequence_reset_sql(no_style(), listed)  # type: ignore[no-any-return]
