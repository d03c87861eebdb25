"""W006 events are taken from anybody while DEBUG is off."""

from __future__ import annotations

from typing import Any

from django.conf import settings as django_settings
from django.core.checks import CheckMessage
from django.core.checks import Warning as Notice

from ..conf import settings


def check_doors(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """Report an event API that asks for no key; runs with ``check --deploy``."""
    if settings.REQUIRE_EVENT_KEYS is not False or django_settings.DEBUG:
        return []
    return [
        Notice(
            "REQUIRE_EVENT_KEYS is off: whoever reaches POST /e/<key> can start workflows.",
            hint="Take it out of DURABLE_DJANGO and make keys: `manage.py durable keys create <name>`.",
            id="durable_django.W006",
        )
    ]
