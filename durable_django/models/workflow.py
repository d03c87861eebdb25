"""Workflows as the database knows them: whether they are paused, and what the code last said of them."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class PauseRunning(models.TextChoices):
    FINISH = "finish", _("finish")
    STOP = "stop", _("stop before their next step")


class PauseNew(models.TextChoices):
    QUEUE = "queue", _("queue up")
    SKIP = "skip", _("are skipped")


class WorkflowState(models.Model):
    """A workflow: ``paused_at`` is null unless it is paused; the rest is what processes with its code report.

    ``pause_running`` says what a pause means for the runs that had begun, ``pause_new`` what it means for those
    that start meanwhile. ``seen_at`` is when a worker last had the code; ``config`` holds the options as JSON.
    """

    id = models.CharField(_("workflow"), max_length=200, primary_key=True)
    paused_at = models.DateTimeField(_("paused at"), null=True)
    paused_by = models.CharField(_("paused by"), max_length=120, default="", db_default="", blank=True)
    pause_reason = models.CharField(_("reason"), max_length=255, default="", db_default="", blank=True)
    pause_running = models.CharField(
        _("active runs"), max_length=8, choices=PauseRunning, default="", db_default="", blank=True
    )
    pause_new = models.CharField(
        _("new runs"), max_length=8, choices=PauseNew, default="", db_default="", blank=True
    )
    module = models.CharField(_("module"), max_length=255, default="", db_default="", blank=True)
    file = models.CharField(_("file"), max_length=500, default="", db_default="", blank=True)
    line = models.IntegerField(_("line"), null=True)
    version = models.CharField(_("code version"), max_length=64, default="", db_default="", blank=True)
    config = models.TextField(_("configuration"), default="{}", db_default="{}")
    seen_at = models.DateTimeField(_("code seen at"), null=True)

    class Meta:
        verbose_name = _("workflow")
        verbose_name_plural = _("workflows")
        default_permissions = ("view",)
        permissions = [
            ("invoke_workflow", _("Can invoke workflows")),
            ("pause_workflow", _("Can pause and resume workflows")),
        ]

    def __str__(self) -> str:
        return self.id
