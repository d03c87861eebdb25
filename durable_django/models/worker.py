"""Processes that report themselves: workers, and the tick under the name ``tick``."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _


class Worker(models.Model):
    """A process and when it was last seen, by the database's clock."""

    name = models.CharField(_("name"), max_length=120, primary_key=True)
    kind = models.CharField(_("kind"), max_length=16)
    queues = models.CharField(_("queues"), max_length=255, default="", blank=True)
    started_at = models.DateTimeField(_("started at"), db_default=Now())
    seen_at = models.DateTimeField(_("seen at"), db_default=Now())

    class Meta:
        verbose_name = _("worker")
        verbose_name_plural = _("workers")
        default_permissions = ("view",)

    def __str__(self) -> str:
        return self.name
