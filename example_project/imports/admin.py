from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest

from example_project.imports.models import Import, RegionTotal, Sale


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs only
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False


@admin.register(Import)
class ImportAdmin(ReadOnlyAdmin):
    list_display = ["source", "status", "rows", "chunks_done", "chunks", "requested_at"]
    list_filter = ["status"]


@admin.register(Sale)
class SaleAdmin(ReadOnlyAdmin):
    list_display = ["source", "line", "sold_on", "region", "product", "quantity", "amount"]
    list_select_related = ["source"]


@admin.register(RegionTotal)
class RegionTotalAdmin(ReadOnlyAdmin):
    list_display = ["source", "region", "sales", "amount"]
    list_select_related = ["source"]
