"""Subjects: what of the project's own rows a run is about."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy as _

from ..exceptions import InvalidSubject
from .run import Run


class RunSubject(models.Model):
    """A link from a run to a row of any model, by label and key as text.

    No foreign key and no content type: the row may be in another database, and may be gone.
    """

    run = models.ForeignKey(
        Run, on_delete=models.CASCADE, db_constraint=False, db_index=False, related_name="subjects"
    )
    label = models.CharField(_("model"), max_length=200)
    object_pk = models.CharField(_("primary key"), max_length=255)

    class Meta:
        verbose_name = _("subject")
        verbose_name_plural = _("subjects")
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(fields=["run", "label", "object_pk"], name="durable_subject_once")
        ]
        indexes = [models.Index(fields=["label", "object_pk", "run"], name="durable_subject_runs")]

    def __str__(self) -> str:
        return f"{self.label} {self.object_pk}"


def name_subject(subject: Any, pk: Any = None) -> tuple[str, str]:
    """Return label and key of a model instance, or of a model class with ``pk``.

    Raises:
        InvalidSubject: It is neither, was not saved, or its key is too long.
    """
    meta = getattr(subject, "_meta", None)
    if meta is None:
        raise InvalidSubject(subject=repr(subject)[:100], reason="it is no model")
    if isinstance(subject, type) == (pk is None):
        raise InvalidSubject(subject=meta.label, reason="give an instance, or a class and a primary key")
    key = subject.pk if pk is None else pk
    if key is None:
        raise InvalidSubject(subject=meta.label, reason="it is not saved yet")
    if len(str(key)) > 255:
        raise InvalidSubject(subject=meta.label, reason="its primary key has more than 255 characters")
    return meta.concrete_model._meta.label_lower, str(key)
