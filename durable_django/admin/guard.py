"""What all our addresses have in common: the log names the caller's, and a database that fails is told.

Note [Nothing about the fault is told]
    Whoever asks may not be logged in, since the session is in a database too. So the page names neither
    host nor reason; the log has both.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Sequence
from typing import Any, Final

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.urls import URLPattern, URLResolver
from django.utils import timezone

from ..models.audit import acting_from

logger = logging.getLogger("durable_django.admin")

PAGE: Final = "durable_django/admin/down.html"
RETRY_SECONDS: Final = 10


def guard(routes: Sequence[Any]) -> list[Any]:
    """Return the routes with a view that answers 503 when the database fails, and whose log names the address."""
    return [_guard(route) for route in routes]


def _guard(route: URLPattern | URLResolver) -> URLPattern | URLResolver:
    if isinstance(route, URLPattern):
        route.callback = _wrap(route.callback)
    return route


def _wrap(view: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(view)
    def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        try:
            with acting_from(str(request.META.get("REMOTE_ADDR") or "")):
                return view(request, *args, **kwargs)
        except (OperationalError, InterfaceError):
            logger.exception("a page of the console could not be read")
            return _tell(request)

    return answer


def _tell(request: HttpRequest) -> HttpResponse:
    shown = {"at": timezone.localtime().strftime("%F %T"), "again": request.get_full_path()}
    response = HttpResponse(render_to_string(PAGE, shown), status=503)
    response["Retry-After"] = str(RETRY_SECONDS)
    response["Cache-Control"] = "no-store"
    return response
