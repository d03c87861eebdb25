"""What staff do: ask for an import."""

from __future__ import annotations

from django.db import transaction

from durable_django import Event, send_event
from example_project.imports.models import Import


@transaction.atomic
def request_import(source: str = "sales.csv") -> Import:
    """Store the wish to import a file; the event that starts the work is committed with it.

    Args:
        source: name of a file in the folder IMPORTS_DIR.
    """
    wanted = Import.objects.create(source=source)
    send_event(Event(name="csv/import.requested", data={"import_id": wanted.pk}))
    return wanted
