"""The size of a text without the text: what a list shows of payloads, and what keeps large ones out of pages."""

from __future__ import annotations

from typing import Any

from django.db.models import Func, IntegerField


class Size(Func):
    """The bytes of a text column; PostgreSQL knows them without reading the text itself."""

    function = "OCTET_LENGTH"
    output_field = IntegerField()

    def as_sqlite(  # type: ignore[override]
        self, compiler: Any, connection: Any, **extra: Any
    ) -> tuple[str, list[Any]]:
        """Measure it as bytes, as versions of SQLite without ``octet_length`` can."""
        sql, params = super().as_sql(
            compiler, connection, template="LENGTH(CAST(%(expressions)s AS BLOB))", **extra
        )
        return sql, list(params)
