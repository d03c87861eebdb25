from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _


class EmailLog(models.Model):
    """One mail of the series that a user was sent; each kind goes out once."""

    class Kind(models.TextChoices):
        WELCOME = "welcome", _("welcome")
        TIPS = "tips", _("tips")
        NUDGE = "nudge", _("nudge")

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, verbose_name=_("user"))
    kind = models.CharField(_("kind"), max_length=10, choices=Kind)
    sent_at = models.DateTimeField(_("sent at"), auto_now_add=True)

    class Meta:
        ordering = ["-pk"]
        verbose_name = _("e-mail log entry")
        verbose_name_plural = _("e-mail log")
        constraints = [models.UniqueConstraint(fields=["user", "kind"], name="onboarding_one_mail_per_kind")]

    def __str__(self) -> str:
        return f"{self.kind} → {self.user}"
