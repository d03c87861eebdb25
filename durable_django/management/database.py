"""The option ``--database``: which alias holds the durable tables, for as long as the verb runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings as django_settings
from django.core.management.base import CommandError
from django.db import connections

from ..conf import SETTING, settings
from ..engine.alias import get_alias


@contextmanager
def using_database(alias: str | None) -> Iterator[str]:
    """Give the alias in use; a given one replaces the setting DATABASE for every thread of this process.

    Raises:
        CommandError: DATABASES has no such alias.
    """
    if alias is None:
        yield get_alias()
        return
    if alias not in connections.settings:
        known = ", ".join(sorted(connections.settings))
        raise CommandError(f"DATABASES has no alias {alias!r}; it has {known}.")
    given = settings.given()
    setattr(django_settings, SETTING, {**given, "DATABASE": alias})
    try:
        yield alias
    finally:
        setattr(django_settings, SETTING, given)
