"""What people do to orders; views, the admin and the demo all call these."""

from __future__ import annotations

from django.db import transaction
from django.utils.translation import gettext as _

from durable_django import Event, send_event
from example_project.shop import steps
from example_project.shop.models import Order, Payment, Product


class OrderRefused(Exception):
    """The order is not in a state that allows this; the text may be shown to the person who asked."""


@transaction.atomic
def place_order(product: Product, quantity: int, email: str, cooling_off: str | None = None) -> Order:
    """Store an order, which starts its workflow.

    Args:
        product: what is bought.
        quantity: pieces, at least 1.
        email: of the customer.
        cooling_off: a duration such as "1h"; the setting SHOP_COOLING_OFF if not given.
    """
    order = Order(product=product, quantity=quantity, email=email, total=product.price * quantity)
    if cooling_off is not None:
        order.cooling_off = cooling_off
    order.save()
    return order


@transaction.atomic
def approve_order(order_id: int, approver: str) -> None:
    """Let a big order go on; the event and the approver's name are committed together.

    Raises:
        OrderRefused: the order does not wait for approval.
    """
    waiting = Order.objects.filter(pk=order_id, status=Order.Status.AWAITING_APPROVAL)
    if not waiting.update(status=Order.Status.APPROVED, approved_by=approver):
        raise OrderRefused(_("This order does not wait for approval."))
    send_event(Event(name="shop/order.approved", data={"order_id": order_id, "approver": approver}))


@transaction.atomic
def record_payment(order_id: int) -> Payment:
    """Store that an order was paid in full; the event is committed with the payment.

    Raises:
        OrderRefused: the order does not wait for a payment.
    """
    waiting = Order.objects.filter(pk=order_id, status=Order.Status.AWAITING_PAYMENT)
    if not waiting.update(status=Order.Status.PAID):
        raise OrderRefused(_("This order does not wait for a payment."))
    order = Order.objects.get(pk=order_id)
    payment = Payment.objects.create(order=order, amount=order.total)
    send_event(Event(name="shop/payment.completed", data={"order_id": order_id, "payment_id": payment.pk}))
    return payment


@transaction.atomic
def withdraw_order(order_id: int) -> None:
    """Take an order back during its cooling-off period.

    Raises:
        OrderRefused: it is too late, too early, or the order is cancelled already.
    """
    if not steps.cancel_order(order_id, Order.Status.RESERVED, "withdrawn"):
        raise OrderRefused(_("This order cannot be withdrawn now."))
