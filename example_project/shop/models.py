"""What the shop remembers; the workflow changes these rows in its atomic steps."""

from __future__ import annotations

import uuid
from decimal import Decimal

from django.conf import settings
from django.db import models
from django.urls import reverse
from django.utils.translation import gettext_lazy as _


def default_cooling_off() -> str:
    return settings.SHOP_COOLING_OFF


class Product(models.Model):
    name = models.CharField(_("name"), max_length=100, unique=True)
    price = models.DecimalField(_("price"), max_digits=10, decimal_places=2)
    stock = models.PositiveIntegerField(_("stock"), default=0)

    class Meta:
        ordering = ["name"]
        verbose_name = _("product")
        verbose_name_plural = _("products")

    def __str__(self) -> str:
        return self.name


class Order(models.Model):
    class Status(models.TextChoices):
        PLACED = "placed", _("placed")
        RESERVED = "reserved", _("stock reserved")
        AWAITING_APPROVAL = "awaiting_approval", _("awaiting approval")
        APPROVED = "approved", _("approved")
        AWAITING_PAYMENT = "awaiting_payment", _("awaiting payment")
        PAID = "paid", _("paid")
        SHIPPED = "shipped", _("shipped")
        CANCELLED = "cancelled", _("cancelled")

    reference = models.UUIDField(_("reference"), default=uuid.uuid4, unique=True, editable=False)
    product = models.ForeignKey(Product, models.PROTECT, verbose_name=_("product"))
    quantity = models.PositiveIntegerField(_("quantity"))
    total = models.DecimalField(_("total"), max_digits=12, decimal_places=2)
    email = models.EmailField(_("e-mail"))
    status = models.CharField(_("status"), max_length=20, choices=Status, default=Status.PLACED)
    reason = models.CharField(_("reason"), max_length=100, blank=True)
    cooling_off = models.CharField(
        _("cooling-off period"),
        max_length=20,
        default=default_cooling_off,
        help_text=_("As promised when the order was placed, such as 1h or 2 days."),
    )
    approved_by = models.CharField(_("approved by"), max_length=150, blank=True)
    placed_at = models.DateTimeField(_("placed at"), auto_now_add=True)

    class Meta:
        ordering = ["-pk"]
        verbose_name = _("order")
        verbose_name_plural = _("orders")

    def __str__(self) -> str:
        return f"{self.quantity} × {self.product} ({self.reference})"

    def get_absolute_url(self) -> str:
        return reverse("shop:order", args=[self.reference])

    @property
    def needs_approval(self) -> bool:
        return self.total >= Decimal(settings.SHOP_APPROVAL_FROM)


class Payment(models.Model):
    order = models.OneToOneField(Order, models.PROTECT, verbose_name=_("order"))
    amount = models.DecimalField(_("amount"), max_digits=12, decimal_places=2)
    paid_at = models.DateTimeField(_("paid at"), auto_now_add=True)

    class Meta:
        verbose_name = _("payment")
        verbose_name_plural = _("payments")

    def __str__(self) -> str:
        return f"{self.amount} ({self.order.reference})"


class Shipment(models.Model):
    order = models.OneToOneField(Order, models.PROTECT, verbose_name=_("order"))
    tracking = models.CharField(_("tracking number"), max_length=40, unique=True)
    shipped_at = models.DateTimeField(_("shipped at"), auto_now_add=True)

    class Meta:
        verbose_name = _("shipment")
        verbose_name_plural = _("shipments")

    def __str__(self) -> str:
        return self.tracking
