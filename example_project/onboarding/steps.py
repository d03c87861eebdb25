"""The steps of the ``onboard-user`` workflow."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth.models import User
from django.core.mail import send_mail
from django.urls import reverse
from django.utils.translation import gettext as _

from example_project.onboarding.models import EmailLog
from example_project.onboarding.operations import make_token


def send_welcome(user_id: int) -> None:
    link = settings.SITE_URL + reverse("onboarding:activate", args=[make_token(user_id)])
    send_once(user_id, EmailLog.Kind.WELCOME, _("Welcome"), _("Activate your account: %s") % link)


def send_tips(user_id: int) -> None:
    send_once(user_id, EmailLog.Kind.TIPS, _("Three tips"), _("Now that you are in, try these."))


def send_nudge(user_id: int) -> None:
    send_once(user_id, EmailLog.Kind.NUDGE, _("Still there?"), _("Your account is waiting for you."))


def is_active(user_id: int) -> bool:
    return User.objects.filter(pk=user_id, is_active=True).exists()


def send_once(user_id: int, kind: EmailLog.Kind, subject: str, text: str) -> None:
    """Log the mail, then send it: if sending fails, the transaction takes the log entry back."""
    entry, is_new = EmailLog.objects.get_or_create(user_id=user_id, kind=kind)
    if is_new:
        send_mail(subject, text, settings.DEFAULT_FROM_EMAIL, [entry.user.email])
