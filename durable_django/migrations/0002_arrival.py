"""The counter of arrivals: a sequence on PostgreSQL, a table of one row with the same column on SQLite.

See Note [Arrival is stamped after the commit] in ``store/event.py``.
"""

from __future__ import annotations

from typing import Any

from django.db import migrations

NAME = "durable_django_event_arrival"


def create(apps: Any, schema_editor: Any) -> None:
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(f"CREATE SEQUENCE {NAME}")
        # From here on last_value is a number that was handed out, which a wait may compare with.
        schema_editor.execute(f"SELECT setval('{NAME}', 1)")
        return
    schema_editor.execute(f"CREATE TABLE {NAME} (last_value integer NOT NULL)")
    schema_editor.execute(f"INSERT INTO {NAME} (last_value) VALUES (1)")


def drop(apps: Any, schema_editor: Any) -> None:
    kind = "SEQUENCE" if schema_editor.connection.vendor == "postgresql" else "TABLE"
    schema_editor.execute(f"DROP {kind} {NAME}")


class Migration(migrations.Migration):
    dependencies = [("durable_django", "0001_initial")]

    operations = [migrations.RunPython(create, drop)]
