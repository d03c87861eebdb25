from __future__ import annotations

from typing import Any

from durable_django.conf import settings as durable

ROUTED = {"durable_django", "testapp"}


class StoreRouter:
    """Sends the durable tables and the test app's to the store under test, as a project's router would."""

    def db_for_read(self, model: Any, **hints: Any) -> str | None:
        return self._alias(model)

    def db_for_write(self, model: Any, **hints: Any) -> str | None:
        return self._alias(model)

    @staticmethod
    def _alias(model: Any) -> str | None:
        if model._meta.app_label not in ROUTED:
            return None
        return durable.DATABASE or "default"
