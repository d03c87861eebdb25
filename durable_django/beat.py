"""The tick as an entry of Celery beat's schedule, for projects that do not let workers tick."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.conf import settings as django_settings

from .conf import DEFAULTS, settings

ENTRY = "durable_django.tick"


def beat_schedule(seconds: float | None = None, *, queue: str | None = None) -> dict[str, Any]:
    """Return the entry to merge into ``CELERY_BEAT_SCHEDULE``.

    Inside the settings module itself pass both arguments if they differ from the defaults: what the module
    says about ``DURABLE_DJANGO`` cannot be read while it is being loaded.

    Args:
        seconds: Time between two ticks; TICK_SECONDS if None.
        queue: The queue that carries the tick; DEFAULT_QUEUE if None.

    Returns:
        A dict with one entry. A tick that no worker took in time is dropped.
    """
    period = float(_read("TICK_SECONDS") if seconds is None else seconds)
    return {
        ENTRY: {
            "task": ENTRY,
            "schedule": timedelta(seconds=period),
            "options": {"queue": queue or _read("DEFAULT_QUEUE"), "expires": max(period * 2, 5.0)},
        }
    }


def _read(key: str) -> Any:
    return getattr(settings, key) if django_settings.configured else DEFAULTS[key]
