"""``POST /webhooks/<source>``: take a signed delivery once, as the events that a function makes of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.utils.module_loading import import_string
from rest_framework.request import Request
from rest_framework.response import Response

from ..clock import read_now
from ..conf import settings
from ..engine.backlog import check_backlog
from ..engine.receive import prepare_events
from ..engine.receive_batch import announce_batch
from ..exceptions import InvalidSetting
from ..ids import new_id
from ..models import WebhookDelivery
from ..store.event import insert_events
from .base import ApiView, read_object
from .errors import NoSuchRow
from .read_body import read_body
from .throttles import EventThrottle
from .verifiers import VERIFIERS, Delivery, Verifier


class WebhookView(ApiView):
    """The signature is the credential, so no key is asked for."""

    http_method_names = ["post"]
    authentication_classes = []
    permission_classes = []
    throttle_classes = [EventThrottle]

    def post(self, request: Request, source: str) -> Response:
        """Store the delivery's events; a delivery that was taken before stores none and says so."""
        config = settings.WEBHOOKS.get(source)
        if config is None:
            raise NoSuchRow("There is no such webhook source")
        body = read_body(request._request, settings.EVENT_BYTES)
        delivery = _verify(source, config, request, body, read_now(self.using).timestamp())
        ids = self._take(source, delivery, _transform(source, config, body))
        return Response({"ids": ids or [], "status": 200, "duplicate": ids is None})

    def _take(self, source: str, delivery: Delivery, events: list[Any]) -> list[str] | None:
        check_backlog(self.using)
        rows = prepare_events(events, source="api", make_id=lambda number: new_id())
        with transaction.atomic(using=self.using, durable=True):
            deliveries = WebhookDelivery.objects.using(self.using)
            # Waits for a transaction that inserts the same, and then finds it.
            if not deliveries.get_or_create(source=source, delivery=delivery.id)[1]:
                return None
            announce_batch(self.using, insert_events(self.using, rows))
        return [str(row.id) for row in rows]


def _verify(source: str, config: Mapping[str, Any], request: Request, body: bytes, now: float) -> Delivery:
    given = config["secret"]
    secrets = [given] if isinstance(given, str) else list(given)
    headers = {name.lower(): value for name, value in request.headers.items()}
    return _find_verifier(source, config.get("verifier", "standard"))(secrets, headers, body, now)


def _find_verifier(source: str, given: Any) -> Verifier:
    if callable(given):
        return given  # type: ignore[no-any-return]
    found: Any = VERIFIERS.get(given)
    try:
        return found or import_string(given)  # type: ignore[no-any-return]
    except ImportError as error:
        raise InvalidSetting(key="WEBHOOKS", value=source, reason=str(error)) from error


def _transform(source: str, config: Mapping[str, Any], body: bytes) -> list[Any]:
    payload = read_object(body)
    given = config.get("transform")
    if given is None:
        return [{"name": f"webhook/{source}", "data": payload}]
    made = (import_string(given) if isinstance(given, str) else given)(payload)
    return [made] if isinstance(made, Mapping) or not isinstance(made, (list, tuple)) else list(made)
