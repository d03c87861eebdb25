"""``POST /e/<key>``: take events, all or none, and answer when they are committed."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from ..conf import settings
from ..engine.receive import prepare_event
from ..engine.receive_batch import receive_batch
from ..engine.verify_key import may_send
from ..models import AccessKey
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


class IngestView(ApiView):
    """Takes the requests of Inngest's clients as they are."""

    authentication_classes = [PathKey]
    throttle_classes = [EventThrottle]
    scope = "ingest"
    http_method_names = ["post"]

    def post(self, request: Request, event_key: str = "") -> Response:
        """Store the events of the body and answer with their ids."""
        body = read_body(request._request, settings.REQUEST_BYTES)
        sender = self.sender
        base = choose_base(str(request.META.get(SEED_HEADER) or ""), body, sender.ident if sender.key else "")

        def make(index: int, value: dict[str, Any]) -> EventRow:
            row = prepare_event(value, "", "api", make_id(base, index))
            _check_name(sender.key, row.name, index)
            return row

        rows = read_events(body, read_limits(), make)
        receive_batch(self.using, rows)
        return Response({"ids": [str(row.id) for row in rows], "status": 200})

    def finalize_response(self, request: Any, response: Any, *args: Any, **kwargs: Any) -> Any:
        """Give errors the form that the clients read."""
        if response.status_code != 200 and isinstance(response.data, dict):
            status, error = response.status_code, response.data.get("error", "")
            response.data = {"ids": [], "status": status, "error": error}
        final = super().finalize_response(request, response, *args, **kwargs)
        # Django would log the path, and with it the key.
        final._has_been_logged = True  # type: ignore[attr-defined]  # private to Django
        return final


def _check_name(key: AccessKey | None, name: str, index: int) -> None:
    if key is not None and not may_send(key, name):
        raise ScopeMissing(f"events[{index}]: the key may not send {name!r}")
