"""Rows as a file, CSV or JSON lines, streamed while they are read.

Note [A cell is never a formula]
    Spreadsheets execute text that begins like a formula, and keys, reasons and the like come from outside. Such
    a cell gets an apostrophe before it. JSON lines need none.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, Final

from django.http import StreamingHttpResponse
from django.utils import timezone

from ..clock import read_time

FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")
TYPES: Final = {"csv": "text/csv; charset=utf-8", "jsonl": "application/jsonl"}

Row = dict[str, Any]


def choose_kind(asked: str) -> str:
    """Return the kind of file that was asked for, ``csv`` unless it is ``jsonl``."""
    return asked if asked in TYPES else "csv"


def answer_file(name: str, kind: str, columns: Sequence[str], rows: Iterable[Row]) -> StreamingHttpResponse:
    """Return the rows as a file; its name bears the time."""
    response = StreamingHttpResponse(_WRITERS[kind](columns, rows), content_type=TYPES[kind])
    stamp = timezone.localtime().strftime("%Y%m%d-%H%M%S")
    response["Content-Disposition"] = f'attachment; filename="{name}-{stamp}.{kind}"'
    response["Cache-Control"] = "no-store"
    return response


def simplify(value: Any) -> Any:
    """Return a value of a column as both kinds of files take it."""
    if isinstance(value, datetime):
        return read_time(value).isoformat()
    return value if value is None or isinstance(value, int | str) else str(value)


class _Echo:
    """Hands what is written to it back."""

    def write(self, text: str) -> str:
        return text


def _write_csv(columns: Sequence[str], rows: Iterable[Row]) -> Iterator[str]:
    writer = csv.writer(_Echo())
    yield writer.writerow(columns)
    for row in rows:
        yield writer.writerow([_neutralize(row[name]) for name in columns])


def _write_lines(columns: Sequence[str], rows: Iterable[Row]) -> Iterator[str]:
    for row in rows:
        yield json.dumps({name: row[name] for name in columns}, ensure_ascii=False) + "\n"


def _neutralize(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


_WRITERS: Final[dict[str, Callable[[Sequence[str], Iterable[Row]], Iterator[str]]]] = {
    "csv": _write_csv,
    "jsonl": _write_lines,
}
