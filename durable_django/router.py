"""A database router for projects that keep the durable tables apart from the rest."""

from __future__ import annotations

from typing import Any

from .conf import settings

APP = "durable_django"


class DurableRouter:
    """Sends the durable tables to ``DURABLE_DJANGO["DATABASE"]``, and has no opinion on other models.

    Put it first in ``DATABASE_ROUTERS``. Without DATABASE it leaves everything to the next router.
    """

    def db_for_read(self, model: Any, **hints: Any) -> str | None:
        """Return the alias for our models."""
        return self._choose(model._meta.app_label)

    def db_for_write(self, model: Any, **hints: Any) -> str | None:
        """Return the alias for our models."""
        return self._choose(model._meta.app_label)

    def allow_relation(self, obj1: Any, obj2: Any, **hints: Any) -> bool | None:
        """Allow relations among our models; they have none with others."""
        ours = [obj._meta.app_label == APP for obj in (obj1, obj2)]
        return True if all(ours) and settings.DATABASE else None

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool | None:
        """Migrate our tables on the alias only."""
        alias = self._choose(app_label)
        return None if alias is None else db == alias

    @staticmethod
    def _choose(app_label: str) -> str | None:
        return settings.DATABASE if app_label == APP and settings.DATABASE else None
