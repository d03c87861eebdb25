"""``/v1/bulk``: act on all runs or waits that a filter matches, and watch, stop and continue that."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from ..engine.bulk import continue_bulk, find_bulk, preview_bulk, start_bulk, stop_bulk
from ..engine.bulk_show import bulk_as_dict
from ..exceptions import RequestInvalid
from ..models import BulkOperation
from .base import ApiView
from .pages import read_text

LARGEST = 100


class BulkOperationsView(ApiView):
    """Lists bulk operations, newest first, or starts one."""

    http_method_names = ["get", "post"]
    scopes = {"POST": "operate"}

    def get(self, request: Request) -> Response:
        """Answer with a page of bulk operations."""
        rows = BulkOperation.objects.using(self.using).order_by("-id")
        if cursor := read_text(request, "cursor"):
            rows = rows.filter(id__lt=_read_number(cursor, "cursor"))
        size = min(_read_number(read_text(request, "limit") or "50", "limit"), LARGEST)
        found = list(rows[: size + 1])
        more = str(found[size - 1].pk) if len(found) > size else None
        return Response({"data": [bulk_as_dict(row) for row in found[:size]], "next": more})

    def post(self, request: Request) -> Response:
        """Start an operation, or with ``dry_run`` tell how many rows match."""
        given = self.read_object(request)
        if unknown := sorted(set(given) - {"action", "filter", "arguments", "reason", "dry_run"}):
            raise RequestInvalid(reason=f"{unknown[0][:40]!r} is no field of a bulk operation")
        action, chosen = _read_word(given, "action"), given.get("filter")
        seen = preview_bulk(action, chosen, using=self.using, samples=1)
        if given.get("dry_run"):
            return Response({"data": {"action": action, "matched": seen.matched, "exact": seen.exact}})
        bulk = start_bulk(
            action,
            chosen,
            actor=self.actor,
            reason=_read_word(given, "reason")[:255],
            arguments=_read_arguments(given),
            matched=seen,
            using=self.using,
        )
        return Response({"data": bulk_as_dict(bulk)}, status=201)


class BulkOperationView(ApiView):
    """Shows a bulk operation."""

    http_method_names = ["get"]

    def get(self, request: Request, number: str) -> Response:
        """Answer with the operation and how far it has come."""
        return Response({"data": bulk_as_dict(find_bulk(self.using, _read_id(number)))})


class StopView(ApiView):
    """Stops a bulk operation."""

    http_method_names = ["post"]
    scope = "operate"

    def post(self, request: Request, number: str) -> Response:
        """Stop it; 409 if it does not run."""
        reason = _read_word(self.read_object(request), "reason")
        return Response({"data": bulk_as_dict(stop_bulk(_read_id(number), actor=self.actor, reason=reason))})


class ContinueView(ApiView):
    """Continues a bulk operation."""

    http_method_names = ["post"]
    scope = "operate"

    def post(self, request: Request, number: str) -> Response:
        """Let it go on; 409 if it was not stopped."""
        reason = _read_word(self.read_object(request), "reason")
        return Response(
            {"data": bulk_as_dict(continue_bulk(_read_id(number), actor=self.actor, reason=reason))}
        )


def _read_word(given: dict[str, Any], name: str) -> str:
    value = given.get(name) or ""
    if not isinstance(value, str):
        raise RequestInvalid(reason=f"{name} is not text")
    return value


def _read_arguments(given: dict[str, Any]) -> dict[str, Any]:
    value = given.get("arguments") or {}
    if not isinstance(value, dict):
        raise RequestInvalid(reason="arguments is no object")
    return value


def _read_number(text: str, name: str) -> int:
    if not (text.isascii() and text.isdecimal() and 0 < len(text) < 19 and int(text) > 0):
        raise RequestInvalid(reason=f"{name} is no whole number above 0")
    return int(text)


def _read_id(text: str) -> int:
    return _read_number(text, "the operation's number")
