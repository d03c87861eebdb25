"""The steps of the import workflows; all of them run as atomic steps."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db.models import F

from example_project.imports.models import Import, RegionTotal, Sale
from example_project.imports.sales_file import count_rows, read_sales


def plan_chunks(import_id: int) -> list[dict[str, Any]]:
    """Write down how many chunks there will be, and return them; they cannot finish before this commits."""
    wanted = Import.objects.get(pk=import_id)
    size, rows = settings.IMPORTS_CHUNK_ROWS, count_rows(wanted.source)
    starts = range(0, rows, size)
    Import.objects.filter(pk=import_id).update(
        status=Import.Status.RUNNING, rows=rows, chunks=len(starts), chunks_done=0
    )
    return [{"import_id": import_id, "first": first, "rows": size} for first in starts]


def import_chunk(import_id: int, first: int, rows: int) -> bool:
    """Store one chunk of sales; True for the one chunk that completes the import.

    The update locks the import's row until the commit, so chunks count one after the other and exactly
    one of them sees that it is the last, however they overlap.
    """
    wanted = Import.objects.get(pk=import_id)
    Sale.objects.bulk_create(read_sales(wanted.source, import_id, first, rows))
    Import.objects.filter(pk=import_id).update(chunks_done=F("chunks_done") + 1)
    return Import.objects.filter(pk=import_id, chunks_done=F("chunks")).exists()


def sum_up(import_id: int) -> dict[str, Any]:
    """Store and return the totals of each region."""
    counts: defaultdict[str, int] = defaultdict(int)
    amounts: defaultdict[str, Decimal] = defaultdict(Decimal)
    # Not SUM(): SQLite would add money as floating-point numbers.
    for region, amount in Sale.objects.filter(source_id=import_id).values_list("region", "amount").iterator():
        counts[region] += 1
        amounts[region] += amount
    RegionTotal.objects.bulk_create(
        RegionTotal(source_id=import_id, region=region, sales=counts[region], amount=amounts[region])
        for region in sorted(counts)
    )
    Import.objects.filter(pk=import_id).update(status=Import.Status.FINISHED)
    return {"rows": sum(counts.values()), "totals": dict(sorted(amounts.items()))}
