"""Three small pages; everything that matters happens in ``operations``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from example_project.shop import operations
from example_project.shop.forms import OrderForm
from example_project.shop.models import Order


@require_http_methods(["GET", "POST"])
def place_order(request: HttpRequest) -> HttpResponse:
    form = OrderForm(request.POST or None)
    if not form.is_valid():
        return render(request, "shop/place_order.html", {"form": form})
    wanted: dict[str, Any] = form.cleaned_data
    return redirect(operations.place_order(wanted["product"], wanted["quantity"], wanted["email"]))


@require_GET
def show_order(request: HttpRequest, reference: UUID) -> HttpResponse:
    orders = Order.objects.select_related("product", "payment", "shipment")
    order = get_object_or_404(orders, reference=reference)
    return render(request, "shop/order.html", {"order": order, "Status": Order.Status})


@require_POST
def pay_order(request: HttpRequest, reference: UUID) -> HttpResponse:
    # Stands in for the call-back of a payment provider.
    return _act(request, reference, operations.record_payment)


@require_POST
def withdraw_order(request: HttpRequest, reference: UUID) -> HttpResponse:
    return _act(request, reference, operations.withdraw_order)


def _act(request: HttpRequest, reference: UUID, operation: Callable[[int], object]) -> HttpResponse:
    order = get_object_or_404(Order, reference=reference)
    try:
        operation(order.pk)
    except operations.OrderRefused as refusal:
        messages.error(request, str(refusal))
    return redirect(order)
