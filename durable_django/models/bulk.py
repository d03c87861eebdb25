"""Bulk operations: an operator's action on all that a filter matched, carried out by the workers."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _


class BulkState(models.TextChoices):
    RUNNING = "running", _("running")
    STOPPED = "stopped", _("stopped")
    FINISHED = "finished", _("finished")


class BulkOperation(models.Model):
    """An action, the filter that chooses its rows, and how far it has come; see ``engine/bulk_work.py``.

    ``filter`` holds names and values of ``engine/bulk_filter.py``; ``arguments`` what the action is given, as
    JSON text. Rows created after ``cutoff`` are not touched. ``cursor`` is the key of the last row that was
    looked at; ``token`` fences the workers that carry it on.
    """

    action = models.CharField(_("action"), max_length=16)
    filter = models.JSONField(_("filter"), default=dict)
    arguments = models.TextField(_("arguments"), default="{}")
    state = models.CharField(_("state"), max_length=12, choices=BulkState, default=BulkState.RUNNING)
    actor = models.CharField(_("actor"), max_length=120)
    reason = models.CharField(_("reason"), max_length=255, default="", blank=True)
    cutoff = models.DateTimeField(_("only what was created before"), db_default=Now())
    matched = models.IntegerField(_("matched"), null=True)
    matched_exactly = models.BooleanField(default=False, editable=False)
    done = models.IntegerField(_("done"), default=0)
    skipped = models.IntegerField(_("left alone"), default=0)
    failed = models.IntegerField(_("failed"), default=0)
    cursor = models.CharField(max_length=40, default="", blank=True, editable=False)
    token = models.BigIntegerField(_("fencing token"), default=0, editable=False)
    owner = models.CharField(_("worker"), max_length=120, default="", blank=True)
    lease_until = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(_("created at"), db_default=Now())
    changed_at = models.DateTimeField(_("last change"), db_default=Now())
    ended_at = models.DateTimeField(_("ended at"), null=True)

    class Meta:
        verbose_name = _("bulk operation")
        verbose_name_plural = _("bulk operations")
        default_permissions = ("view",)
        permissions = [("bulk_operate", _("Can start, stop and continue bulk operations"))]
        constraints = [
            models.CheckConstraint(condition=models.Q(state__in=BulkState.values), name="durable_bulk_state"),
        ]
        indexes = [
            models.Index(fields=["id"], name="durable_bulk_open", condition=models.Q(state="running")),
        ]

    def __str__(self) -> str:
        return f"{self.action} #{self.pk}"
