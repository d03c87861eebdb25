"""Processes that report themselves: workers, and the tick under the name ``tick``."""

from __future__ import annotations

from typing import Final

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

STOPPING: Final = " stopping"
"""Ends the kind of a worker that was asked to finish what it has and to take nothing new."""


class Worker(models.Model):
    """A process and when it was last seen, by the database's clock; see Note [A worker is drained by its row].

    ``package`` is the version of this library there, ``code`` what the setting CODE_VERSION says, ``slots`` how many
    runs it executes side by side, ``busy`` how many it does now, ``last_error`` the last fault of the process itself.
    """

    name = models.CharField(_("name"), max_length=120, primary_key=True)
    kind = models.CharField(_("kind"), max_length=16)
    queues = models.CharField(_("queues"), max_length=255, default="", blank=True)
    package = models.CharField(_("package"), max_length=32, default="", db_default="", blank=True)
    code = models.CharField(_("code version"), max_length=64, default="", db_default="", blank=True)
    slots = models.IntegerField(_("slots"), null=True)
    busy = models.IntegerField(_("slots in use"), null=True)
    last_error = models.CharField(_("last error"), max_length=255, default="", db_default="", blank=True)
    last_error_at = models.DateTimeField(_("last error at"), null=True)
    started_at = models.DateTimeField(_("started at"), db_default=Now())
    seen_at = models.DateTimeField(_("seen at"), db_default=Now())

    class Meta:
        verbose_name = _("worker")
        verbose_name_plural = _("workers")
        default_permissions = ("view",)

    def __str__(self) -> str:
        return self.name

    @property
    def is_stopping(self) -> bool:
        """Whether it takes nothing new."""
        return self.kind.endswith(STOPPING)

    @property
    def own_kind(self) -> str:
        """What it is, whether it is stopping or not."""
        return self.kind.removesuffix(STOPPING)

    @property
    def served(self) -> list[str]:
        """The queues that it takes runs from."""
        return [] if self.is_stopping else [name for name in self.queues.split(",") if name]
