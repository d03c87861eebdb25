"""``POST /v1/signals``: resume the run that waits for a name."""

from __future__ import annotations

from django.db import transaction
from rest_framework.request import Request
from rest_framework.response import Response

from ..engine.send_signal import send_signal
from .base import ApiView


class SignalsView(ApiView):
    """Takes ``{"signal": name, "data": anything}``."""

    http_method_names = ["post"]
    scope = "operate"

    def post(self, request: Request) -> Response:
        """Answer with the id of the run; 404 if none waits, since signals are not stored."""
        given = self.read_object(request)
        with transaction.atomic(using=self.using):
            run_id = send_signal(given.get("signal"), given.get("data"))  # type: ignore[arg-type]  # it checks
        return Response({"data": {"run_id": run_id}})
