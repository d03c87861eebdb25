"""Which database holds the durable tables."""

from __future__ import annotations

from django.db import router

from ..conf import settings
from ..models import Run


def get_alias() -> str:
    """Return the alias of the durable tables: the setting DATABASE, or what the routers say."""
    return str(settings.DATABASE or router.db_for_write(Run))
