"""Runs: one row an execution of a workflow, narrow because it changes often; results stand apart."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from ..ids import new_id
from .event import Event


class RunStatus(models.TextChoices):
    QUEUED = "queued", _("queued")
    RUNNING = "running", _("running")
    WAITING = "waiting", _("waiting")
    PAUSED = "paused", _("paused")
    COMPLETED = "completed", _("completed")
    FAILED = "failed", _("failed")
    CANCELLED = "cancelled", _("cancelled")


LIVE = (RunStatus.QUEUED, RunStatus.RUNNING, RunStatus.WAITING, RunStatus.PAUSED)
ENDED = (RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.CANCELLED)


class RunQuerySet(models.QuerySet["Run"]):
    def live(self) -> RunQuerySet:
        return self.filter(status__in=LIVE, wake_at__isnull=False)  # the second lets an index serve

    def ended(self) -> RunQuerySet:
        return self.filter(status__in=ENDED)

    def for_subject(self, subject: Any, pk: Any = None) -> RunQuerySet:
        """Return the runs that are about a model instance, or about a row of a model class."""
        from .subject import name_subject

        label, key = name_subject(subject, pk)
        return self.filter(subjects__label=label, subjects__object_pk=key)

    def due(self) -> RunQuerySet:
        return self.filter(wake_at__lte=Now())


class Run(models.Model):
    """One execution of a workflow.

    ``token`` fences writers (law 3); ``wake_at`` is when somebody must look at the run (law 2), null once
    it has ended; ``wakeups`` counts the waits that ended, so that parking notices one that it raced with.
    ``version`` is that of the code that executed it last; ``warning`` tells what operators should look at.
    ``arrival`` is the last arrival number before a run that no event started; null means that of its event.
    ``hold`` asks a running slice to stop before its next step, see ``store/paused.py``. ``rerun_from`` is the
    step that a rerun began at, with ``rerun_index``; the steps before it are copies.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    workflow = models.CharField(_("workflow"), max_length=200)
    event = models.ForeignKey(
        Event, on_delete=models.PROTECT, db_constraint=False, related_name="runs", verbose_name=_("event")
    )
    start_key = models.UUIDField(null=True, editable=False)
    key = models.CharField(_("key"), max_length=255, default="", blank=True)
    origin = models.CharField(_("started by"), max_length=16, default="event")
    status = models.CharField(_("status"), max_length=12, choices=RunStatus, default=RunStatus.QUEUED)
    waits_for = models.CharField(_("waits for"), max_length=16, default="", blank=True)
    queue = models.CharField(_("queue"), max_length=64)
    version = models.CharField(_("code version"), max_length=64, default="", blank=True)
    warning = models.CharField(_("warning"), max_length=255, default="", db_default="", blank=True)
    wake_at = models.DateTimeField(_("next look at"), null=True)
    deadline_at = models.DateTimeField(_("cancelled if it lasts until"), null=True)
    finish_within = models.FloatField(_("seconds to finish within"), null=True)
    token = models.BigIntegerField(_("fencing token"), default=0, editable=False)
    owner = models.CharField(_("worker"), max_length=120, default="", blank=True)
    attempt = models.SmallIntegerField(_("failed attempts"), default=0)
    attempt_steps = models.IntegerField(default=0, editable=False)
    crash_count = models.SmallIntegerField(_("crashes in a row"), default=0)
    wakeups = models.IntegerField(default=0, editable=False)
    arrival = models.BigIntegerField(null=True, editable=False)
    reason = models.CharField(_("reason"), max_length=255, default="", blank=True)
    parent_id = models.UUIDField(_("invoked by run"), null=True)
    parent_step = models.CharField(
        _("invoked by step"), max_length=255, default="", db_default="", blank=True
    )
    parent_index = models.BigIntegerField(default=0, db_default=0, editable=False)
    depth = models.SmallIntegerField(default=0, db_default=0, editable=False)
    rerun_of = models.UUIDField(_("rerun of"), null=True)
    rerun_from = models.CharField(_("rerun from step"), max_length=255, default="", db_default="", blank=True)
    rerun_index = models.BigIntegerField(default=0, db_default=0, editable=False)
    hold = models.BooleanField(default=False, db_default=False, editable=False)
    created_at = models.DateTimeField(_("created at"), db_default=Now())
    started_at = models.DateTimeField(_("started at"), null=True)
    ended_at = models.DateTimeField(_("ended at"), null=True)

    objects = RunQuerySet.as_manager()

    class Meta:
        verbose_name = _("run")
        verbose_name_plural = _("runs")
        default_permissions = ("view", "delete")
        permissions = [
            ("cancel_run", _("Can cancel runs")),
            ("retry_run", _("Can retry runs")),
            ("rerun_run", _("Can rerun runs")),
            ("export_run", _("Can export runs")),
            ("view_payload", _("Can view payloads")),
        ]
        constraints = [
            models.UniqueConstraint(fields=["start_key"], name="durable_run_start_key"),
            models.CheckConstraint(
                condition=models.Q(status__in=RunStatus.values), name="durable_run_status"
            ),
            models.CheckConstraint(
                condition=models.Q(status__in=LIVE, wake_at__isnull=False, ended_at__isnull=True)
                | models.Q(status__in=ENDED, wake_at__isnull=True, ended_at__isnull=False),
                name="durable_run_wake_or_end",
            ),
        ]
        indexes = [
            models.Index(
                fields=["wake_at"], name="durable_run_wake", condition=models.Q(wake_at__isnull=False)
            ),
            models.Index(
                fields=["deadline_at"],
                name="durable_run_deadline",
                condition=models.Q(deadline_at__isnull=False, ended_at__isnull=True),
            ),
            models.Index(
                fields=["queue", "id"], name="durable_run_queued", condition=models.Q(status="queued")
            ),
            # For the console: a few of them are found among a million sleepers.
            models.Index(fields=["id"], name="durable_run_running", condition=models.Q(status="running")),
            models.Index(
                fields=["waits_for", "id"], name="durable_run_waiting", condition=models.Q(status="waiting")
            ),
            models.Index(fields=["workflow", "id"], name="durable_run_workflow"),
            models.Index(
                fields=["status", "id"],
                name="durable_run_trouble",
                condition=models.Q(status__in=["failed", "cancelled"]),
            ),
            # These operator classes also answer for the beginning of a key, whatever the collation.
            models.Index(
                fields=["key", "id"],
                name="durable_run_key",
                opclasses=["varchar_pattern_ops", "uuid_ops"],
                condition=models.Q(key__gt=""),
            ),
            models.Index(
                fields=["started_at"],
                name="durable_run_started",
                condition=models.Q(started_at__isnull=False),
            ),
            models.Index(
                fields=["ended_at"], name="durable_run_ended", condition=models.Q(ended_at__isnull=False)
            ),
            models.Index(fields=["ended_at"], name="durable_run_failed", condition=models.Q(status="failed")),
            models.Index(
                fields=["id"],
                name="durable_run_by_hand",
                condition=models.Q(origin__in=["operator", "rerun"]),
            ),
            models.Index(
                fields=["parent_id"], name="durable_run_parent", condition=models.Q(parent_id__isnull=False)
            ),
            models.Index(
                fields=["rerun_of"], name="durable_run_rerun", condition=models.Q(rerun_of__isnull=False)
            ),
            models.Index(
                fields=["workflow", "id"], name="durable_run_paused", condition=models.Q(status="paused")
            ),
        ]

    def __str__(self) -> str:
        return f"{self.workflow} {self.id}"


class RunResult(models.Model):
    """What an ended run left: its output, or its error as JSON, in the engine's codec."""

    run = models.OneToOneField(
        Run, on_delete=models.CASCADE, primary_key=True, db_constraint=False, related_name="result"
    )
    output = models.TextField(_("output"), null=True)  # noqa: DJ001  null: there is none
    error = models.TextField(_("error"), null=True)  # noqa: DJ001

    class Meta:
        verbose_name = _("result")
        verbose_name_plural = _("results")
        default_permissions = ("view",)

    def __str__(self) -> str:
        return str(self.run_id)
