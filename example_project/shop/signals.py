"""Every stored order is announced, whoever stored it: a view, the admin, a script."""

from __future__ import annotations

from typing import Any

from django.db.models.signals import post_save

from durable_django import Event, send_event
from example_project.shop.models import Order


def connect() -> None:
    """Subscribe to saved orders; called once when Django starts."""
    post_save.connect(announce_order, sender=Order, dispatch_uid="shop.announce_order")


def announce_order(instance: Order, created: bool, raw: bool, **kwargs: Any) -> None:
    # Joins the transaction that saves the order: no order without its event, no event without its order.
    if created and not raw:
        send_event(
            Event(
                name="shop/order.placed",
                data={"order_id": instance.pk, "total": float(instance.total)},
            )
        )
