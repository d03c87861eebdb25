"""E004 a dispatcher that cannot be loaded, W002 runs executed inside the caller's thread."""

from __future__ import annotations

import difflib
from typing import Any

from django.conf import settings as django_settings
from django.core.checks import CheckMessage, Error
from django.core.checks import Warning as Notice
from django.utils.module_loading import import_string

from ..conf import settings
from ..engine.nudge import DISPATCHERS
from .surroundings import is_test


def check_dispatcher(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """Report a name that is neither one of ours nor the path of a class with ``nudge``."""
    name = settings.DISPATCHER
    if not isinstance(name, str) or not name or name in DISPATCHERS:
        return []
    reason = _why_unusable(name)
    if not reason:
        return []
    close = difflib.get_close_matches(name, DISPATCHERS, n=1)
    known = "Use 'local', 'celery', 'inline', or the dotted path of a class with a nudge() method."
    return [
        Error(
            f"DURABLE_DJANGO['DISPATCHER'] is {name!r}: {reason}.",
            hint=f"Did you mean {close[0]!r}?" if close else known,
            id="durable_django.E004",
        )
    ]


def _why_unusable(name: str) -> str:
    try:
        found = import_string(name)
    except ImportError as error:
        return str(error).rstrip(".")
    return "" if callable(getattr(found, "nudge", None)) else "it has no nudge() method"


def check_inline(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """Report the inline dispatcher where requests would wait for whole runs."""
    if settings.DISPATCHER != "inline" or django_settings.DEBUG or is_test():
        return []
    return [
        Notice(
            "DURABLE_DJANGO['DISPATCHER'] is 'inline' and DEBUG is off: requests execute whole runs.",
            hint="Use 'local' or 'celery'; 'inline' is for tests and the shell.",
            id="durable_django.W002",
        )
    ]
