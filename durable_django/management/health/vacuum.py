"""The probe of VACUUM: are the rows that updates and pruning leave behind taken away."""

from __future__ import annotations

from typing import Final

from django.db import connections

from ...store.base import EVENT, RUN, STEP, WAIT
from .finding import Finding

MANY: Final = 100_000
"""Dead rows of a table above which it is looked at how many live ones there are."""
_TABLES: Final = (RUN, STEP, WAIT, EVENT)


def probe_vacuum(using: str) -> list[Finding]:
    """Tell whether some table holds more dead rows than live ones, and what keeps them; on PostgreSQL only."""
    connection = connections[using]
    if connection.vendor != "postgresql":
        return []
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT current_setting('autovacuum'), (SELECT string_agg(relname || ' (' || n_dead_tup || ' dead rows, ' "
            "|| n_live_tup || ' live)', ', ' ORDER BY relname) FROM pg_stat_all_tables "
            "WHERE relid = ANY(%s::regclass[]) AND n_dead_tup > %s AND n_dead_tup > n_live_tup)",
            [list(_TABLES), MANY],
        )
        state, bloated = cursor.fetchone()
    if not bloated:
        return [
            Finding(name="vacuum", level="ok", text=f"autovacuum is {state}; no table is mostly dead rows")
        ]
    text = f"autovacuum is {state}; mostly dead rows in {bloated}"
    remedy = (
        "Turn autovacuum on (`ALTER SYSTEM SET autovacuum = on; SELECT pg_reload_conf();`), or VACUUM from cron."
        if state == "off"
        else "Look in pg_stat_activity for a transaction that has been open for long: VACUUM removes nothing "
        "that it may still see. Without one, let autovacuum work more often."
    )
    return [Finding(name="vacuum", level="warn", text=text, remedy=remedy)]
