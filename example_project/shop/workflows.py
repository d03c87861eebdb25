"""From a placed order to a parcel, through waits of hours and days."""

from __future__ import annotations

from django.conf import settings

from durable_django import Context, EventTrigger, StepError, workflow
from example_project.shop import steps
from example_project.shop.models import Order


@workflow(
    id="fulfil-order",
    trigger=EventTrigger("shop/order.placed", if_exp="event.data.total > 0"),
    retries=4,
)
def fulfil_order(ctx: Context) -> dict[str, str]:
    order_id = ctx.event.data["order_id"]
    ctx.link(Order, order_id)  # the order's page in the admin shows this run
    order = ctx.step.run("load-order", steps.load_order, order_id)
    if not steps.reserve_stock(order_id):
        return {"status": "cancelled"}

    ctx.step.sleep("cooling-off", order["cooling_off"])
    if order["needs_approval"] and not is_approved(ctx, order_id):
        return {"status": "cancelled"}
    if not is_paid(ctx, order_id):
        return {"status": "cancelled"}

    # The key is the same at every attempt of this run, so the carrier comes once.
    tracking = ctx.step.run("book-carrier", steps.book_carrier, order_id, f"{ctx.run_id}:book-carrier")
    steps.record_shipment(order_id, tracking)
    try:
        ctx.step.run("confirm-by-mail", steps.send_confirmation, order_id, tracking, retries=6)
    except StepError as error:
        ctx.logger.warning("order %s is shipped, but its mail failed: %s", order_id, error)
    return {"status": "shipped", "tracking": tracking}


def is_approved(ctx: Context, order_id: int) -> bool:
    if not steps.ask_for_approval(order_id):
        return False
    answer = ctx.step.wait_for_event(
        "approval",
        event="shop/order.approved",
        match="data.order_id",
        timeout=settings.SHOP_APPROVAL_TIMEOUT,
    )
    return answer is not None or not steps.cancel_order(
        order_id, Order.Status.AWAITING_APPROVAL, "not approved in time"
    )


def is_paid(ctx: Context, order_id: int) -> bool:
    if not steps.ask_for_payment(order_id):
        return False
    answer = ctx.step.wait_for_event(
        "payment",
        event="shop/payment.completed",
        match="data.order_id",
        timeout=settings.SHOP_PAYMENT_TIMEOUT,
    )
    # A payment may come just before the wait exists or just as it ends, so the row decides, not the event.
    return answer is not None or not steps.cancel_order(
        order_id, Order.Status.AWAITING_PAYMENT, "not paid in time"
    )
