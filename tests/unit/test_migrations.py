"""Migrations can be applied to tables that are at work, and taken back: docs/changing-code.md says what that means."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
from django.contrib.postgres.operations import AddConstraintNotValid, AddIndexConcurrently
from django.db import migrations

import durable_django.migrations

FOLDER = Path(durable_django.migrations.__file__).parent
LATER = sorted(path.stem for path in FOLDER.glob("0*.py"))[1:]
"""All but the first, which finds no rows and no neighbours."""

QUICK = (
    migrations.CreateModel,
    migrations.AddField,
    migrations.AlterModelOptions,
    migrations.AlterModelManagers,
    migrations.RunPython,
    migrations.SeparateDatabaseAndState,
    AddIndexConcurrently,
    AddConstraintNotValid,
)
"""What holds its lock for a moment only; a removal follows one release after the code that no longer reads it."""


def load(name: str) -> migrations.Migration:
    module = importlib.import_module(f"durable_django.migrations.{name}")
    return module.Migration(name, "durable_django")  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", LATER)
def test_a_later_migration_locks_no_table_for_long(name: str) -> None:
    """It has only operations that neither rewrite a table nor build an index under its lock."""
    for operation in load(name).operations:
        assert isinstance(operation, QUICK), f"{operation} holds up whoever writes to the table"
        if isinstance(operation, migrations.AddField):
            field = operation.field
            assert field.null or field.has_db_default(), f"{operation}: the release before cannot insert rows"


@pytest.mark.parametrize("name", LATER)
def test_a_later_migration_can_be_taken_back(name: str) -> None:
    """Who must go back to the release before can."""
    assert all(operation.reversible for operation in load(name).operations)
