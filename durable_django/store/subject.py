"""Link runs to rows of the project, each pair once."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from .base import RUN, SUBJECT, adapt_id, cursor, is_postgres, writing
from .retrying import repeatable

Name = tuple[str, str]
"""The label of a model and a primary key as text."""

_INSERT = f"INSERT INTO {SUBJECT} (run_id, label, object_pk)"


@repeatable
def insert_subjects(using: str, run_id: UUID, names: Sequence[Name]) -> None:
    """Link a run, in the transaction that is open or in one of its own; links that exist are left alone."""
    with cursor(using) as handle:
        handle.execute(
            f"{_INSERT} VALUES {', '.join(['(%s, %s, %s)'] * len(names))} ON CONFLICT DO NOTHING",
            [value for name in names for value in (adapt_id(using, run_id), *name)],
        )


@repeatable
def link_run(using: str, run_id: UUID, token: int, name: Name) -> bool:
    """Link a run that is still owned under the token; return whether it is.

    On PostgreSQL see Note [The fence is held while a checkpoint commits].
    """
    owned = f"SELECT id FROM {RUN} WHERE id = %s AND token = %s AND status = 'running'"
    key = [adapt_id(using, run_id), token]
    insert = f"{_INSERT} SELECT id, %s, %s FROM owned ON CONFLICT DO NOTHING"
    if is_postgres(using):
        with cursor(using) as handle:
            handle.execute(
                f"WITH owned AS MATERIALIZED ({owned} FOR SHARE), linked AS ({insert}) SELECT 1 FROM owned",
                [*key, *name],
            )
            return handle.fetchone() is not None
    with writing(using) as handle:
        handle.execute(owned, key)
        if handle.fetchone() is None:
            return False
        values = f"{_INSERT} VALUES (%s, %s, %s) ON CONFLICT DO NOTHING"
        handle.execute(values, [key[0], *name])
        return True
