"""Who may come in over HTTP: keys, of which only a hash is stored, and what was taken already."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _


class AccessKey(models.Model):
    """A key of the HTTP API; ``prefix`` is its visible beginning, ``digest`` the SHA-256 of it all, in hex.

    ``event_patterns`` limits the names of events that it may send, ``networks`` the addresses it may come
    from; empty means any. ``used_at`` is written at most once a minute. ``rate`` is events a second, ``burst``
    how many at once; ``busy_until``, in seconds since 1970, is when all of ``burst`` may be sent again.
    """

    name = models.CharField(_("name"), max_length=80)
    prefix = models.CharField(_("prefix"), max_length=32, unique=True)
    digest = models.CharField(max_length=64, editable=False)
    scopes = models.JSONField(_("scopes"), default=list)
    event_patterns = models.JSONField(_("event names"), default=list, blank=True)
    networks = models.JSONField(_("networks"), default=list, blank=True)
    rate = models.FloatField(_("events a second"), null=True, blank=True)
    burst = models.PositiveIntegerField(_("events at once"), null=True, blank=True)
    busy_until = models.FloatField(default=0.0, editable=False)
    created_at = models.DateTimeField(_("created at"), db_default=Now())
    expires_at = models.DateTimeField(_("expires at"), null=True, blank=True)
    revoked_at = models.DateTimeField(_("revoked at"), null=True, blank=True)
    used_at = models.DateTimeField(_("last used at"), null=True)

    class Meta:
        verbose_name = _("access key")
        verbose_name_plural = _("access keys")
        default_permissions = ("view",)

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"


class WebhookDelivery(models.Model):
    """A delivery of a webhook source, or a form of the console, so that its repetition is not taken again."""

    source = models.CharField(_("source"), max_length=64)
    delivery = models.CharField(_("delivery"), max_length=255)
    received_at = models.DateTimeField(_("received at"), db_default=Now())

    class Meta:
        verbose_name = _("webhook delivery")
        verbose_name_plural = _("webhook deliveries")
        default_permissions = ("view",)
        constraints = [models.UniqueConstraint(fields=["source", "delivery"], name="durable_delivery_once")]
        indexes = [models.Index(fields=["received_at"], name="durable_delivery_age")]

    def __str__(self) -> str:
        return f"{self.source} {self.delivery}"
