from __future__ import annotations

from django.db import models
from django.urls import reverse
from django.utils.translation import gettext_lazy as _


class Import(models.Model):
    class Status(models.TextChoices):
        REQUESTED = "requested", _("requested")
        RUNNING = "running", _("running")
        FINISHED = "finished", _("finished")

    source = models.CharField(_("file"), max_length=100, default="sales.csv")
    status = models.CharField(_("status"), max_length=10, choices=Status, default=Status.REQUESTED)
    rows = models.PositiveIntegerField(_("rows"), default=0)
    chunks = models.PositiveIntegerField(_("chunks"), default=0)
    chunks_done = models.PositiveIntegerField(_("chunks done"), default=0)
    requested_at = models.DateTimeField(_("requested at"), auto_now_add=True)

    class Meta:
        ordering = ["-pk"]
        verbose_name = _("import")
        verbose_name_plural = _("imports")

    def __str__(self) -> str:
        return f"{self.source} #{self.pk}"

    def get_absolute_url(self) -> str:
        return reverse("imports:detail", args=[self.pk])


class Sale(models.Model):
    source = models.ForeignKey(Import, models.CASCADE, related_name="sales", verbose_name=_("import"))
    line = models.PositiveIntegerField(_("line"))
    sold_on = models.DateField(_("sold on"))
    region = models.CharField(_("region"), max_length=30)
    product = models.CharField(_("product"), max_length=60)
    quantity = models.PositiveIntegerField(_("quantity"))
    amount = models.DecimalField(_("amount"), max_digits=12, decimal_places=2)

    class Meta:
        verbose_name = _("sale")
        verbose_name_plural = _("sales")
        constraints = [models.UniqueConstraint(fields=["source", "line"], name="imports_line_once")]

    def __str__(self) -> str:
        return f"{self.sold_on} {self.region} {self.amount}"


class RegionTotal(models.Model):
    source = models.ForeignKey(Import, models.CASCADE, related_name="totals", verbose_name=_("import"))
    region = models.CharField(_("region"), max_length=30)
    sales = models.PositiveIntegerField(_("sales"))
    amount = models.DecimalField(_("amount"), max_digits=14, decimal_places=2)

    class Meta:
        ordering = ["region"]
        verbose_name = _("region total")
        verbose_name_plural = _("region totals")
        constraints = [models.UniqueConstraint(fields=["source", "region"], name="imports_region_once")]

    def __str__(self) -> str:
        return f"{self.region}: {self.amount}"
