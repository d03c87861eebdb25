"""The operator log: one row for each action, appended and never changed."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _


class AuditEntry(models.Model):
    """Who did what to which run, why, and what came of it; ``actor`` is text such as ``user:17``."""

    at = models.DateTimeField(_("at"), db_default=Now())
    actor = models.CharField(_("actor"), max_length=120)
    action = models.CharField(_("action"), max_length=32)
    run_id = models.UUIDField(_("run"), null=True)
    workflow = models.CharField(_("workflow"), max_length=200, default="", blank=True)
    reason = models.CharField(_("reason"), max_length=255, default="", blank=True)
    result = models.CharField(_("result"), max_length=255, default="", blank=True)

    class Meta:
        verbose_name = _("operator action")
        verbose_name_plural = _("operator log")
        default_permissions = ("view",)
        indexes = [models.Index(fields=["run_id"], name="durable_audit_run")]

    def __str__(self) -> str:
        return f"{self.actor}: {self.action}"
