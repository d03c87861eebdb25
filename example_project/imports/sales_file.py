"""Reading the CSV file; nothing here touches the database."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from itertools import islice
from pathlib import Path

from django.conf import settings

from durable_django import NonRetriableError
from example_project.imports.models import Sale


def count_rows(source: str) -> int:
    """Return how many rows follow the header."""
    return sum(1 for _ in _read(source))


def read_sales(source: str, import_id: int, first: int, rows: int) -> list[Sale]:
    """Return unsaved sales.

    Args:
        source: name of a file in IMPORTS_DIR.
        import_id: what they will belong to.
        first: number of the first row, counted from 0 after the header.
        rows: how many to read at most.
    """
    chunk = islice(_read(source), first, first + rows)
    return [_parse(row, import_id, line) for line, row in enumerate(chunk, start=first)]


def _read(source: str) -> Iterator[dict[str, str]]:
    if Path(source).name != source:
        raise NonRetriableError(f"{source!r} is not the plain name of a file")
    with (Path(settings.IMPORTS_DIR) / source).open(newline="", encoding="utf-8") as lines:
        yield from csv.DictReader(lines)


def _parse(row: dict[str, str], import_id: int, line: int) -> Sale:
    try:
        return Sale(
            source_id=import_id,
            line=line,
            sold_on=date.fromisoformat(row["date"]),
            region=row["region"],
            product=row["product"],
            quantity=int(row["quantity"]),
            amount=Decimal(row["amount"]),
        )
    except (ArithmeticError, KeyError, ValueError) as error:
        # Reading the same row again would not help.
        raise NonRetriableError(f"row {line} of the file cannot be read: {error!r}") from error
