"""Exact values at exact paths of the data of events.

Note [A search must not stumble over one row]
    PostgreSQL's jsonb refuses the escape of NUL, which JSON allows, so such payloads are passed over, as is
    on SQLite what is no JSON. ``PAYLOAD_INDEX`` is an index that makes the search quick at any size; it is
    not made by a migration, since it taxes every event.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from django.db.models import BooleanField, F, Func

_JSONB: Final = r"(CASE WHEN strpos({0}, '\u0000') = 0 THEN {0}::jsonb END)"

PAYLOAD_INDEX: Final = (
    "CREATE INDEX CONCURRENTLY durable_event_payload ON durable_django_event "
    f"USING gin ({_JSONB.format('data')} jsonb_path_ops)"
)


class HasValue(Func):
    """Whether JSON text has that value at that path; keys and, in lists, numbers from 0."""

    output_field = BooleanField()

    def __init__(self, column: str, path: Sequence[str], value: Any) -> None:
        super().__init__(F(column))
        self.path, self.value = list(path), value

    def as_postgresql(self, compiler: Any, connection: Any, **extra: Any) -> tuple[str, list[Any]]:
        """Ask for containment, which an index answers, and for the very place."""
        column, params = compiler.compile(self.get_source_expressions()[0])
        document, wanted = _JSONB.format(column), json.dumps(self.value)
        sql, found = f"{document} #> %s::text[] = %s::jsonb", [*params, *params, self.path, wanted]
        if any(key.isdigit() for key in self.path):  # a key, or a place in a list: no container tells which
            return f"({sql})", found
        return f"({document} @> %s::jsonb AND {sql})", [*params, *params, self._build(), *found]

    def as_sqlite(  # type: ignore[override]
        self, compiler: Any, connection: Any, **extra: Any
    ) -> tuple[str, list[Any]]:
        """Compare the JSON text at the path."""
        column, params = compiler.compile(self.get_source_expressions()[0])
        if any('"' in key for key in self.path):
            return "0", []  # SQLite's paths cannot name such a key
        keys = "".join(f"[{key}]" if key.isdigit() else f".{json.dumps(key)}" for key in self.path)
        wanted = json.dumps(self.value, ensure_ascii=False, separators=(",", ":"))
        sql = f"(CASE WHEN json_valid({column}) THEN {column} -> %s END = %s)"
        return sql, [*params, *params, f"${keys}", wanted]

    def _build(self) -> str:
        built = self.value
        for key in reversed(self.path):
            built = {key: built}
        return json.dumps(built)
