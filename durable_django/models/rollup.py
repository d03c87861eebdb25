"""Figures a workflow and minute, and an hour, so that no screen has to count runs."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class Rollup(models.Model):
    """What happened to a workflow's runs in ``span`` minutes from ``at``; see ``engine/rollup.py``.

    The row with an empty ``workflow`` is the sum of all, and alone has the gauges: how many runs were queued,
    running and waiting when it was written. ``delays`` and ``durations`` are histograms, ``errors`` counts
    the first lines of errors, all as JSON text.
    """

    workflow = models.CharField(_("workflow"), max_length=200, default="", blank=True)
    span = models.SmallIntegerField(_("minutes"))
    at = models.DateTimeField(_("from"))
    started = models.IntegerField(_("started"), default=0)
    completed = models.IntegerField(_("completed"), default=0)
    failed = models.IntegerField(_("failed"), default=0)
    cancelled = models.IntegerField(_("cancelled"), default=0)
    queued = models.IntegerField(_("queued"), default=0)
    running = models.IntegerField(_("running"), default=0)
    waiting = models.IntegerField(_("waiting"), default=0)
    delays = models.TextField(_("start delays"), default="{}")
    durations = models.TextField(_("durations"), default="{}")
    errors = models.TextField(_("errors"), default="{}")

    class Meta:
        verbose_name = _("figure")
        verbose_name_plural = _("figures")
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["workflow", "span", "at"], name="durable_rollup_once")]
        indexes = [models.Index(fields=["span", "at"], name="durable_rollup_time")]

    def __str__(self) -> str:
        return f"{self.workflow} {self.at} ({self.span} min)"
