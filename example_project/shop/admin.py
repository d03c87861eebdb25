from __future__ import annotations

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from durable_django.admin.mixins import SubjectRunsMixin
from example_project.shop.models import Order, Payment, Product, Shipment
from example_project.shop.operations import OrderRefused, approve_order


@admin.register(Product)
class ProductAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs only
    list_display = ["name", "price", "stock"]


@admin.register(Order)
class OrderAdmin(SubjectRunsMixin, admin.ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs only
    list_display = ["reference", "product", "quantity", "total", "status", "reason", "placed_at"]
    list_filter = ["status"]
    list_select_related = ["product"]
    actions = ["approve"]
    readonly_fields = [
        "reference",
        "product",
        "quantity",
        "total",
        "email",
        "status",
        "reason",
        "cooling_off",
        "approved_by",
    ]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    @admin.action(permissions=["change"], description=_("Approve selected orders"))
    def approve(self, request: HttpRequest, queryset: QuerySet[Order]) -> None:
        orders = list(queryset.order_by("pk"))
        approved = sum(_try_to_approve(order, request.user.get_username()) for order in orders)
        text = ngettext("%d order was approved.", "%d orders were approved.", approved) % approved
        self.message_user(request, text, messages.SUCCESS if approved else messages.WARNING)
        if skipped := len(orders) - approved:
            text = ngettext(
                "%d order did not wait for approval.", "%d orders did not wait for approval.", skipped
            )
            self.message_user(request, text % skipped, messages.WARNING)


def _try_to_approve(order: Order, approver: str) -> bool:
    try:
        approve_order(order.pk, approver)
    except OrderRefused:
        return False
    return True


@admin.register(Payment, Shipment)
class RecordAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs only
    list_select_related = ["order"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False
