"""The result of a bulk operation as a file: what became of each row that it looked at, from the operator log."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from django.contrib.admin import ModelAdmin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase

from ..engine.alias import get_alias
from ..engine.refusal import record_refusal
from ..models import AuditEntry, BulkOperation
from ..models.audit import acting_for
from .actions import get_actor
from .export_file import Row, answer_file, choose_kind, simplify
from .pages import show_gone
from .permits import may_do, may_view

CHUNK: Final = 2_000
COLUMNS: Final = ("at", "actor", "action", "run_id", "workflow", "reason", "result")


def may_export(request: HttpRequest) -> bool:
    """Tell whether the user may take the file."""
    seen = may_view(request, BulkOperation) and may_view(request, AuditEntry)
    return seen and may_do(request, "export_run")


def export_bulk(page: ModelAdmin[Any], request: HttpRequest, key: int) -> HttpResponseBase:
    """Return the file, and note who took it; the log is written first."""
    if request.method != "POST":
        return HttpResponse(status=405)
    using = get_alias()
    bulk = BulkOperation.objects.using(using).filter(pk=key).first() if key < 1 << 63 else None
    if not may_export(request):
        _note(using, request, bulk, "denied")
        raise PermissionDenied
    if bulk is None:
        return show_gone(page, request, str(key))
    kind = choose_kind(request.POST.get("format", ""))
    _note(using, request, bulk, f"{kind}, the result of bulk operation {bulk.pk}")
    return answer_file(f"bulk-{bulk.pk}", kind, COLUMNS, _read(using, bulk))


def _note(using: str, request: HttpRequest, bulk: BulkOperation | None, result: str) -> None:
    with acting_for(bulk.pk if bulk else None):
        record_refusal(using, actor=get_actor(request), action="export", run_id=None, result=result)


def _read(using: str, bulk: BulkOperation) -> Iterator[Row]:
    """Read by pages of keys, as the index has them; the rows about the operation itself are no result."""
    entries = AuditEntry.objects.using(using).filter(bulk_id=bulk.pk).order_by("pk")
    chunk = list(entries[:CHUNK])
    while chunk:
        for entry in chunk:
            if entry.action == bulk.action:
                yield {name: simplify(getattr(entry, name)) for name in COLUMNS}
        chunk = list(entries.filter(pk__gt=chunk[-1].pk)[:CHUNK]) if len(chunk) == CHUNK else []
