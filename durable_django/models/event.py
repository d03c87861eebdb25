"""Events: written once, in the sender's transaction; stamped and routed after its commit."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from ..ids import new_id


class EventSource(models.TextChoices):
    API = "api", _("HTTP API")
    CODE = "code", _("code")
    RUN = "run", _("a run")
    START = "start", _("start()")
    CRON = "cron", _("schedule")
    MODEL = "model", _("model change")
    OPERATOR = "operator", _("operator")


class EventQuerySet(models.QuerySet["Event"]):
    def unrouted(self) -> EventQuerySet:
        return self.filter(routed_at__isnull=True)


class Event(models.Model):
    """Something that happened; ``data`` and ``extra`` are JSON text in the engine's codec.

    ``arrival`` is the place in the order of receipt, see Note [Arrival is stamped after the commit].
    ``reasons`` says why it started nothing, or not more, see ``engine/reasons.py``.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    name = models.CharField(_("name"), max_length=255)
    data = models.TextField(_("data"), default="{}")
    extra = models.TextField(_("further fields"), null=True)  # noqa: DJ001  null: nothing was sent
    external_id = models.CharField(_("sender's id"), max_length=255, null=True)  # noqa: DJ001
    ts = models.BigIntegerField(_("timestamp (ms)"))
    source = models.CharField(_("source"), max_length=16, choices=EventSource, default=EventSource.CODE)
    created_at = models.DateTimeField(_("stored at"), db_default=Now())
    arrival = models.BigIntegerField(_("arrival"), null=True)
    routed_at = models.DateTimeField(_("routed at"), null=True)
    reasons = models.TextField(null=True, editable=False)  # noqa: DJ001  null: it started all that it could

    objects = EventQuerySet.as_manager()

    class Meta:
        verbose_name = _("event")
        verbose_name_plural = _("events")
        default_permissions = ("view", "delete")
        permissions = [("send_event", _("Can send events"))]
        indexes = [
            models.Index(fields=["name", "arrival"], name="durable_event_look"),
            models.Index(
                fields=["external_id"],
                name="durable_event_sender_id",
                condition=models.Q(external_id__isnull=False),
            ),
            models.Index(
                fields=["created_at"], name="durable_event_unrouted", condition=models.Q(routed_at=None)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.id}"
