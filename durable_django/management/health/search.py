"""The probe of the payload search: has it an index, or does it read all events of its range."""

from __future__ import annotations

from typing import Final

from django.db import connections

from ...store.base import EVENT
from ...store.payload_search import PAYLOAD_INDEX
from .finding import Finding

MANY: Final = 100_000
"""Events above which a search without an index is slow."""
NAME: Final = "durable_event_payload"


def probe_search(using: str) -> list[Finding]:
    """Tell whether a search for a value in payloads is answered by an index; on PostgreSQL only."""
    connection = connections[using]
    if connection.vendor != "postgresql":
        return []
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.reltuples, (SELECT bool_or(i.indisvalid) FROM pg_index i "
            "JOIN pg_class k ON k.oid = i.indexrelid WHERE i.indrelid = c.oid AND k.relname = %s) "
            "FROM pg_class c WHERE c.oid = %s::regclass",
            [NAME, EVENT],
        )
        count, valid = cursor.fetchone()
    events = max(int(count), 0)
    if valid:
        return [Finding(name="search", level="ok", text="payloads are indexed")]
    if valid is not None:
        remedy = f"DROP INDEX CONCURRENTLY {NAME}; and create it again: {PAYLOAD_INDEX}"
        text = "the index of payloads is not valid: its creation was interrupted"
        return [Finding(name="search", level="warn", text=text, remedy=remedy)]
    text = f"payloads are not indexed; a search for a value in them reads the events of its range, of about {events:,}"
    if events < MANY:
        return [Finding(name="search", level="ok", text=text)]
    remedy = f"If you search them, and each event may cost a little more to store: {PAYLOAD_INDEX}"
    return [Finding(name="search", level="warn", text=text, remedy=remedy)]
