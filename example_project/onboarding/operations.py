"""What a visitor does: register, then activate the account."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.contrib.auth.models import User
from django.core import signing
from django.db import transaction

from durable_django import Event, send_event

SALT = "onboarding.activate"
TOKEN_AGE = timedelta(days=14)


@transaction.atomic
def register(email: str, pause: str | None = None, patience: str | None = None) -> User:
    """Create an inactive account; the event that starts the mails is committed with it.

    Args:
        email: also the user name.
        pause: a duration between the welcome and the next mail; the setting ONBOARDING_PAUSE if not given.
        patience: how long to wait for the activation after that; else the setting ONBOARDING_PATIENCE.
    """
    user = User.objects.create_user(username=email, email=email, is_active=False)
    data = {
        "user_id": user.pk,
        "pause": pause or settings.ONBOARDING_PAUSE,
        "patience": patience or settings.ONBOARDING_PATIENCE,
    }
    send_event(Event(name="user/registered", data=data))
    return user


@transaction.atomic
def activate(user_id: int) -> bool:
    """Activate a new account; False if it was active already, or in use and then blocked by staff."""
    if not User.objects.filter(pk=user_id, is_active=False, last_login=None).update(is_active=True):
        return False
    send_event(Event(name="user/activated", data={"user_id": user_id}))
    return True


def make_token(user_id: int) -> str:
    """Return the text that proves, in a link, that its holder read the user's mail."""
    return signing.dumps(user_id, salt=SALT)


def read_token(token: str) -> int:
    """Return the user id in a token.

    Raises:
        django.core.signing.BadSignature: the token was not made here, or is older than TOKEN_AGE.
    """
    return int(signing.loads(token, salt=SALT, max_age=TOKEN_AGE))
