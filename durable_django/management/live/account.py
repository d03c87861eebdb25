"""The demo's operator account: its password is new at each demo, since only its hash is kept."""

from __future__ import annotations

import secrets
from typing import Any

from django.apps import apps
from django.contrib.auth import get_user_model
from django.core.management.base import CommandError

NAME = "demo-operator"
MAIL = "demo-operator@example.com"


def make_operator() -> tuple[str, str]:
    """Create the superuser, or give the one of an earlier demo a new password; return name and password.

    Raises:
        CommandError: The project has no user accounts.
    """
    if not apps.is_installed("django.contrib.auth"):
        raise CommandError(
            "The demo needs django.contrib.auth in INSTALLED_APPS, for the operator's account."
        )
    model: Any = get_user_model()
    field = model.USERNAME_FIELD
    name = MAIL if "mail" in field else NAME
    password = secrets.token_urlsafe(12)
    user = model.objects.filter(**{field: name}).first()
    if user is None:
        required = {each: MAIL if "mail" in each else NAME for each in model.REQUIRED_FIELDS}
        model.objects.create_superuser(**{field: name, **required}, password=password)
    else:
        user.set_password(password)
        user.is_active = user.is_staff = user.is_superuser = True
        user.save()
    return name, password
