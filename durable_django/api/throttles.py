"""Rates of ``REST_FRAMEWORK["DEFAULT_THROTTLE_RATES"]``, by key; without a rate there is no limit.

DRF says of its throttles that they are not exact and no protection against an attack; a proxy's limit is.
"""

from __future__ import annotations

from typing import Any, cast

from rest_framework.request import Request
from rest_framework.settings import api_settings
from rest_framework.throttling import SimpleRateThrottle


class _KeyThrottle(SimpleRateThrottle):
    def get_rate(self) -> str | None:
        """Return the rate of the scope as it is set now."""
        rates: dict[str, Any] = api_settings.DEFAULT_THROTTLE_RATES
        return cast("str | None", rates.get(str(self.scope)))

    def get_cache_key(self, request: Request, view: Any) -> str:
        """Return where the requests of the sender are counted."""
        ident = getattr(request.user, "ident", None) or str(request.META.get("REMOTE_ADDR"))
        return f"durable_throttle_{self.scope}_{ident}"


class EventThrottle(_KeyThrottle):
    """The scope ``durable_events``: requests that bring events."""

    scope = "durable_events"


class ApiThrottle(_KeyThrottle):
    """The scope ``durable_api``: all other requests."""

    scope = "durable_api"
