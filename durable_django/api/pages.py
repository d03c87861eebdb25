"""Pages of rows, the newest first: what the query asks for, and where the next page begins."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final, TypeVar
from uuid import UUID

from django.db.models import Model, QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from ..duration import parse_instant
from ..exceptions import RequestInvalid

SIZE: Final = 50
LARGEST: Final = 100

Row = TypeVar("Row", bound=Model)


def answer_page(request: Request, rows: QuerySet[Row], show: Callable[[Row], dict[str, Any]]) -> Response:
    """Answer with a page of the rows: ``data``, and ``next``, the cursor of the next page or null.

    Raises:
        RequestInvalid: ``limit`` or ``cursor`` cannot be used.
    """
    size = _read_size(request)
    cursor = read_text(request, "cursor")
    if cursor:
        rows = rows.filter(id__lt=read_uuid(cursor, "cursor"))
    found = list(rows.order_by("-id")[: size + 1])
    more = str(found[size - 1].pk) if len(found) > size else None
    return Response({"data": [show(row) for row in found[:size]], "next": more})


def answer_numbered(request: Request, rows: QuerySet[Row], show: Callable[[Row], dict[str, Any]]) -> Response:
    """Answer with a page of rows whose ids are numbers; see ``answer_page``."""
    size = _read_size(request)
    if cursor := read_text(request, "cursor"):
        rows = rows.filter(id__lt=read_number(cursor, "cursor"))
    found = list(rows.order_by("-id")[: size + 1])
    more = str(found[size - 1].pk) if len(found) > size else None
    return Response({"data": [show(row) for row in found[:size]], "next": more})


def read_number(text: str, what: str) -> int:
    """Return the number of a row.

    Raises:
        RequestInvalid: It is not one.
    """
    if not (text.isascii() and text.isdecimal() and 0 < len(text) < 19):
        raise RequestInvalid(reason=f"{what} is no whole number")
    return int(text)


def read_text(request: Request, name: str) -> str:
    """Return a parameter of the query, or an empty text.

    Raises:
        RequestInvalid: No store can hold it.
    """
    return _check(request.query_params.get(name) or "", name)


def read_texts(request: Request, name: str) -> list[str]:
    """Return all values of a parameter that may be repeated; see ``read_text``."""
    return [_check(value, name) for value in request.query_params.getlist(name) if value]


def read_time(request: Request, name: str) -> datetime | None:
    """Return an instant of the query: ISO 8601 with an offset.

    Raises:
        InvalidInstant, NaiveDatetime: It is not one.
    """
    text = read_text(request, name)
    return parse_instant(text.replace(" ", "+")) if text else None


def read_uuid(text: str, what: str) -> UUID:
    """Return the UUID of a parameter.

    Raises:
        RequestInvalid: It is not one.
    """
    try:
        return UUID(text)
    except ValueError as error:
        raise RequestInvalid(reason=f"{what} is not an id") from error


def _check(text: str, name: str) -> str:
    if "\x00" in text or any("\ud800" <= char <= "\udfff" for char in text):
        raise RequestInvalid(reason=f"{name} has a NUL or a lone surrogate")
    return text


def _read_size(request: Request) -> int:
    text = read_text(request, "limit") or str(SIZE)
    if not (text.isascii() and text.isdecimal() and len(text) < 5 and 0 < int(text) <= LARGEST):
        raise RequestInvalid(reason=f"limit is not a whole number from 1 to {LARGEST}")
    return int(text)
