"""Saved views: a list's filters under a name."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _


class SavedView(models.Model):
    """The query string of the list of runs under a name; seen by its owner, and by all if ``shared``.

    ``owner`` is the key of a user as text: users may be in another database.
    """

    name = models.CharField(_("name"), max_length=80)
    query = models.CharField(_("filters"), max_length=2_000, blank=True)
    owner = models.CharField(_("owner"), max_length=64, editable=False)
    owner_name = models.CharField(_("saved by"), max_length=150, editable=False)
    shared = models.BooleanField(_("for everybody"), default=False)
    created_at = models.DateTimeField(_("created at"), db_default=Now())

    class Meta:
        verbose_name = _("saved view")
        verbose_name_plural = _("saved views")
        default_permissions = ("view", "delete")
        permissions = [("share_savedview", _("Can share saved views"))]
        constraints = [models.UniqueConstraint(fields=["owner", "name"], name="durable_view_once")]
        indexes = [models.Index(fields=["name"], name="durable_view_shared", condition=models.Q(shared=True))]

    def __str__(self) -> str:
        return self.name
