"""Schedules: when each cron trigger is due next."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class Schedule(models.Model):
    """A cron trigger of a workflow; ``key`` is derived from the three below, ``next_at`` is in UTC.

    A row that no code declares any more is left alone and never fires.
    """

    key = models.UUIDField(primary_key=True, editable=False)
    workflow = models.CharField(_("workflow"), max_length=200)
    cron = models.CharField(_("cron"), max_length=255)
    tz = models.CharField(_("time zone"), max_length=64)
    next_at = models.DateTimeField(_("next"))
    last_at = models.DateTimeField(_("last fired for"), null=True)

    class Meta:
        verbose_name = _("schedule")
        verbose_name_plural = _("schedules")
        default_permissions = ("view",)

    def __str__(self) -> str:
        return f"{self.workflow}: {self.cron} {self.tz}"
