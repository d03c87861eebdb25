"""Waits: open questions that an incoming event can answer; each ends once (law 7)."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from .run import Run


class WaitStatus(models.TextChoices):
    OPEN = "open", _("open")
    MATCHED = "matched", _("ended by an event")
    EXPIRED = "expired", _("timed out")
    CLOSED = "closed", _("closed")
    DISPLACED = "displaced", _("displaced by another wait")
    RESOLVED = "resolved", _("resolved by an operator")


class Wait(models.Model):
    """What a step waits for; ``branch`` tells several waits of one step apart.

    ``mode`` says what the end of this wait means for such a step: "any" ends it, "all" ends it with the last
    one, and ``output`` keeps the value until then. A wait for a signal has no event name, and its ``event_id``
    is that of the sending, which is stored nowhere else. ``looks_from`` is set if earlier events count, see
    Note [A look back takes each event once].
    ``after`` is the arrival number above which events count (Note [Arrival is stamped after the commit]);
    ``bound`` holds the fields of the triggering event that the expression reads, as JSON text.
    """

    run = models.ForeignKey(
        Run, on_delete=models.CASCADE, db_constraint=False, db_index=False, related_name="waits"
    )
    name = models.CharField(_("step"), max_length=255)
    index = models.BigIntegerField(_("index"), default=0)
    branch = models.SmallIntegerField(default=0, editable=False)
    kind = models.CharField(_("kind"), max_length=12, default="event")
    status = models.CharField(_("status"), max_length=12, choices=WaitStatus, default=WaitStatus.OPEN)
    mode = models.CharField(max_length=3, default="", db_default="", editable=False)
    event_name = models.CharField(_("event name"), max_length=255, default="", blank=True)
    signal = models.CharField(_("signal"), max_length=255, default="", db_default="", blank=True)
    match = models.CharField(_("match"), max_length=255, default="", blank=True)
    expression = models.TextField(_("expression"), default="", blank=True)
    bound = models.TextField(_("bound values"), default="{}")
    output = models.TextField(null=True, editable=False)  # noqa: DJ001  null: nothing to keep
    after = models.BigIntegerField(default=0, editable=False)
    looks_from = models.BigIntegerField(null=True, editable=False)
    expires_at = models.DateTimeField(_("until"))
    created_at = models.DateTimeField(_("created at"), db_default=Now())
    ended_at = models.DateTimeField(_("ended at"), null=True)
    event_id = models.UUIDField(_("ended by event"), null=True)

    class Meta:
        verbose_name = _("wait")
        verbose_name_plural = _("waits")
        default_permissions = ("view",)
        permissions = [("resolve_wait", _("Can resolve, end and extend waits"))]
        constraints = [
            models.UniqueConstraint(fields=["run", "name", "index", "branch"], name="durable_wait_once"),
            models.CheckConstraint(
                condition=models.Q(status__in=WaitStatus.values), name="durable_wait_status"
            ),
            models.UniqueConstraint(
                fields=["signal"],
                condition=models.Q(status="open", signal__gt=""),
                name="durable_wait_signal",
            ),
        ]
        indexes = [
            models.Index(
                fields=["run", "name", "event_id"],
                name="durable_wait_taken",
                condition=models.Q(looks_from__isnull=False, event_id__isnull=False),
            ),
            models.Index(
                fields=["event_name", "id"], name="durable_wait_open", condition=models.Q(status="open")
            ),
            models.Index(
                fields=["event_id"], name="durable_wait_ended_by", condition=models.Q(event_id__isnull=False)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.event_name or self.signal} ({self.name})"


class WaitKey(models.Model):
    """A hash under which an open wait is found; see ``engine/match.py``. Gone when the wait has ended."""

    wait = models.ForeignKey(Wait, on_delete=models.CASCADE, db_constraint=False, related_name="keys")
    key = models.BigIntegerField()

    class Meta:
        default_permissions = ()
        indexes = [models.Index(fields=["key", "wait"], name="durable_wait_key")]

    def __str__(self) -> str:
        return str(self.key)


class PathSet(models.Model):
    """The paths that waits for an event name are keyed by, as JSON; as many as there are shapes in code.

    Rows are never deleted while in use: a wait that found its row stored already relies on it.
    """

    event_name = models.CharField(max_length=255)
    digest = models.BigIntegerField()
    paths = models.TextField()

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["event_name", "digest"], name="durable_path_set_once")]

    def __str__(self) -> str:
        return f"{self.event_name} {self.paths}"
