"""Steps: the memo of each call inside a run; attempts: the failures on the way there."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from .run import Run


class StepKind(models.TextChoices):
    RUN = "run", _("function")
    SLEEP = "sleep", _("sleep")
    EVENT = "event", _("wait for event")
    SIGNAL = "signal", _("wait for signal")
    ANY = "any", _("wait for any")
    ALL = "all", _("wait for all")
    SEND = "send", _("send events")
    INVOKE = "invoke", _("invoke workflow")
    FETCH = "fetch", _("HTTP request")
    INFER = "infer", _("model call")
    WRAP = "wrap", _("wrapped model call")


class StepStatus(models.TextChoices):
    WAITING = "waiting", _("waiting")
    RETRYING = "retrying", _("retrying")
    COMPLETED = "completed", _("completed")
    FAILED = "failed", _("failed")


class Step(models.Model):
    """One call of a step tool, found again by (run, name, index); its first result stays (law 4).

    ``ready_at`` is when a sleep ends, a wait times out or the next attempt is due; ``attempt`` counts the
    attempts that failed; ``token`` is the fencing token of the writer. ``input`` is set only if an operator gave
    other arguments than the code does, ``supplied_by`` if an operator gave the result or ended the wait.
    """

    run = models.ForeignKey(
        Run, on_delete=models.CASCADE, db_constraint=False, db_index=False, related_name="steps"
    )
    name = models.CharField(_("step"), max_length=255)
    index = models.BigIntegerField(_("index"), default=0)
    kind = models.CharField(_("kind"), max_length=12, choices=StepKind)
    status = models.CharField(_("status"), max_length=12, choices=StepStatus)
    output = models.TextField(_("output"), null=True)  # noqa: DJ001  null: no output yet
    error = models.TextField(_("error"), null=True)  # noqa: DJ001
    input = models.TextField(_("input"), null=True)  # noqa: DJ001  null: what the code gives
    supplied_by = models.CharField(_("supplied by"), max_length=120, default="", db_default="", blank=True)
    attempt = models.SmallIntegerField(_("failed attempts"), default=0)
    token = models.BigIntegerField(_("fencing token"), default=0, editable=False)
    ready_at = models.DateTimeField(_("ready at"), null=True)
    started_at = models.DateTimeField(_("started at"), db_default=Now())
    ended_at = models.DateTimeField(_("ended at"), null=True)

    class Meta:
        verbose_name = _("step")
        verbose_name_plural = _("steps")
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(fields=["run", "name", "index"], name="durable_step_once"),
            models.CheckConstraint(
                condition=models.Q(status__in=StepStatus.values), name="durable_step_status"
            ),
        ]

    def __str__(self) -> str:
        return self.name if not self.index else f"{self.name} ({self.index + 1})"


class Attempt(models.Model):
    """A failed attempt of a step, or of the code between steps (empty ``name``), with its traceback."""

    run = models.ForeignKey(
        Run, on_delete=models.CASCADE, db_constraint=False, db_index=False, related_name="attempts"
    )
    name = models.CharField(_("step"), max_length=255, default="", blank=True)
    index = models.BigIntegerField(_("index"), default=0)
    number = models.SmallIntegerField(_("attempt"))
    error_type = models.CharField(_("error type"), max_length=255)
    message = models.TextField(_("message"))
    traceback = models.TextField(_("traceback"))
    worker = models.CharField(_("worker"), max_length=120, default="", blank=True)
    token = models.BigIntegerField(_("fencing token"), default=0, editable=False)
    started_at = models.DateTimeField(_("started at"))
    ended_at = models.DateTimeField(_("ended at"))
    retry_at = models.DateTimeField(_("next attempt at"), null=True)

    class Meta:
        verbose_name = _("failed attempt")
        verbose_name_plural = _("failed attempts")
        default_permissions = ("view",)
        indexes = [models.Index(fields=["run", "id"], name="durable_attempt_run")]

    def __str__(self) -> str:
        return f"{self.name or self.run_id} #{self.number + 1}: {self.error_type}"
