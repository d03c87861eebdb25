"""``GET /v1/health``: may this process take events, and does somebody look after the runs."""

from __future__ import annotations

import logging

from django.db import DatabaseError, InterfaceError
from rest_framework.request import Request
from rest_framework.response import Response

from ..clock import read_now
from ..clock import read_time as read_moment
from ..conf import settings
from ..models import Worker
from ..store.worker import TICK
from .base import ApiView

logger = logging.getLogger("durable_django.api")
LATE_SECONDS = 10.0


class HealthView(ApiView):
    """Needs no key, so that a load balancer can ask; tells no more than it must."""

    http_method_names = ["get"]
    authentication_classes = []
    permission_classes = []

    def get(self, request: Request) -> Response:
        """Answer 200 while events can be stored, else 503; ``tick`` is "recent", "late" or "never"."""
        try:
            tick = _see_tick(self.using)
        except (DatabaseError, InterfaceError):
            logger.warning("the store cannot be used", exc_info=True)
            return Response({"status": "down", "store": "down", "tick": "unknown"}, status=503)
        return Response({"status": "ok" if tick == "recent" else "degraded", "store": "ok", "tick": tick})


def _see_tick(using: str) -> str:
    seen = Worker.objects.using(using).filter(name=TICK).values_list("seen_at", flat=True).first()
    if seen is None:
        return "never"
    age = (read_now(using) - read_moment(seen)).total_seconds()
    return "recent" if age <= max(LATE_SECONDS, 5 * settings.TICK_SECONDS) else "late"
