"""The steps of the ``fulfil-order`` workflow: each one is a plain function that a unit test can call.

``atomic=True`` commits the function's writes together with the record that the step is done, so these
happen exactly once. Each change of status names the status it starts from: whoever comes too late
changes nothing and is told so.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.mail import send_mail
from django.db.models import F
from django.utils.translation import gettext as _

from durable_django import NonRetriableError, step
from example_project.shop import carrier
from example_project.shop.models import Order, Product, Shipment

Status = Order.Status


def load_order(order_id: int) -> dict[str, Any]:
    """Return what the workflow decides by, so that later changes of price or settings do not matter."""
    order = Order.objects.filter(pk=order_id).first()
    if order is None:
        raise NonRetriableError(f"order {order_id} does not exist")
    return {"cooling_off": order.cooling_off, "needs_approval": order.needs_approval}


@step(atomic=True)
def reserve_stock(order_id: int) -> bool:
    """Take the pieces out of stock; False, and the order is cancelled, if there are too few."""
    if not move(order_id, [Status.PLACED], Status.RESERVED):
        return False
    order = Order.objects.get(pk=order_id)
    enough = Product.objects.filter(pk=order.product_id, stock__gte=order.quantity)
    if enough.update(stock=F("stock") - order.quantity):
        return True
    move(order_id, [Status.RESERVED], Status.CANCELLED, reason="out of stock")
    return False


@step(atomic=True)
def ask_for_approval(order_id: int) -> bool:
    """Open the order for approval; False if the customer has withdrawn it."""
    return move(order_id, [Status.RESERVED], Status.AWAITING_APPROVAL)


@step(atomic=True)
def ask_for_payment(order_id: int) -> bool:
    """Open the order for payment; False if the customer has withdrawn it."""
    return move(order_id, [Status.RESERVED, Status.APPROVED], Status.AWAITING_PAYMENT)


@step(atomic=True)
def cancel_order(order_id: int, status: str, reason: str) -> bool:
    """Cancel the order and give its stock back; False if it has left ``status`` in the meantime."""
    if not move(order_id, [status], Status.CANCELLED, reason=reason):
        return False
    order = Order.objects.get(pk=order_id)
    Product.objects.filter(pk=order.product_id).update(stock=F("stock") + order.quantity)
    return True


def book_carrier(order_id: int, idempotency_key: str) -> str:
    """Ask the carrier to fetch the parcel; the key makes a repeated request harmless."""
    order = Order.objects.get(pk=order_id)
    return carrier.book(str(order.reference), idempotency_key)


@step(atomic=True)
def record_shipment(order_id: int, tracking: str) -> None:
    Shipment.objects.create(order_id=order_id, tracking=tracking)
    move(order_id, [Status.PAID], Status.SHIPPED)


def send_confirmation(order_id: int, tracking: str) -> None:
    # Mail cannot be rolled back: a crash right after sending repeats it. That is better than silence.
    order = Order.objects.select_related("product").get(pk=order_id)
    send_mail(
        _("Your order is on its way"),
        _("%(quantity)s × %(product)s, tracking number %(tracking)s.")
        % {"quantity": order.quantity, "product": order.product, "tracking": tracking},
        settings.DEFAULT_FROM_EMAIL,
        [order.email],
    )


def move(order_id: int, sources: list[str], target: str, **changes: str) -> bool:
    """Change the status if it is one of ``sources``; this one statement decides every race."""
    found = Order.objects.filter(pk=order_id, status__in=sources)
    return bool(found.update(status=target, **changes))
