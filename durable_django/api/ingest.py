"""``POST /e/<key>``: take events, all or none, and answer when they are committed."""

from __future__ import annotations

from typing import Any, Final

from rest_framework.request import Request
from rest_framework.response import Response

from ..conf import settings
from ..engine.receive import prepare_event
from ..engine.receive_batch import receive_batch
from ..engine.verify_key import check_rate, may_send, spend
from ..store.access import KeyRow
from ..store.base import EventRow
from .authenticate import PathKey
from .base import ApiView
from .errors import ScopeMissing
from .measure import read_limits
from .read_body import read_body
from .read_events import read_events
from .seed import choose_base, make_id
from .throttles import EventThrottle

SEED_HEADER = "HTTP_X_INNGEST_EVENT_ID_SEED"

# Note [Any page may send events]
#     The key in the path is the credential and cookies are ignored, so a page of another origin can do
#     nothing with a visitor's browser that it could not do from anywhere: the door is open to all origins.
ANY_ORIGIN: Final = {"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": "Retry-After"}
PREFLIGHT: Final = {"Access-Control-Allow-Methods": "POST", "Access-Control-Max-Age": "3600"}
ALLOWED: Final = "Content-Type, X-Inngest-Env, X-Inngest-Event-Id-Seed, X-Inngest-SDK, Traceparent"


class IngestView(ApiView):
    """Takes the requests of Inngest's clients as they are."""

    authentication_classes = [PathKey]
    throttle_classes = [EventThrottle]
    scope = "ingest"
    http_method_names = ["post", "options"]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Ask for the key, but not of a browser that only asks whether it may send."""
        if request.method != "OPTIONS":
            super().initial(request, *args, **kwargs)

    def options(self, request: Any, *args: Any, **kwargs: Any) -> Response:
        """Answer a browser's preflight, whatever the key."""
        asked = str(request.META.get("HTTP_ACCESS_CONTROL_REQUEST_HEADERS") or ALLOWED)
        allowed = asked if asked.isprintable() and len(asked) <= 1000 else ALLOWED
        return Response(status=204, headers={**PREFLIGHT, "Access-Control-Allow-Headers": allowed})

    def post(self, request: Request, event_key: str = "") -> Response:
        """Store the events of the body and answer with their ids."""
        key = self.sender.key
        if key is not None:
            check_rate(key)
        body = read_body(request._request, settings.REQUEST_BYTES)
        base = choose_base(str(request.META.get(SEED_HEADER) or ""), body, key.prefix if key else "")

        def make(index: int, value: dict[str, Any]) -> EventRow:
            row = prepare_event(value, "", "api", make_id(base, index))
            _check_name(key, row.name, index)
            return row

        rows = read_events(body, read_limits(), make)
        if key is not None:
            spend(self.using, key, len(rows))
        receive_batch(self.using, rows)
        return Response({"ids": [str(row.id) for row in rows], "status": 200})

    def finalize_response(self, request: Any, response: Any, *args: Any, **kwargs: Any) -> Any:
        """Give errors the form that the clients read, and all answers to pages of any origin."""
        if response.status_code >= 400 and isinstance(response.data, dict):
            status, error = response.status_code, response.data.get("error", "")
            response.data = {"ids": [], "status": status, "error": error}
        final = super().finalize_response(request, response, *args, **kwargs)
        for name, value in ANY_ORIGIN.items():
            final[name] = value
        # Django would log the path, and with it the key.
        final._has_been_logged = True  # type: ignore[attr-defined]  # private to Django
        return final


def _check_name(key: KeyRow | None, name: str, index: int) -> None:
    if key is not None and not may_send(key, name):
        raise ScopeMissing(f"events[{index}]: the key may not send {name!r}")
