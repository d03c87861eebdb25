"""``POST /v1/cancellations``: cancel the runs of a workflow by time and condition."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from ..engine.cancel_matching import cancel_matching
from ..exceptions import RequestInvalid
from .base import ApiView
from .bodies import refuse_unknown, take_flag, take_reason, take_text, take_time
from .pages import read_uuid

FIELDS = ("workflow_id", "started_after", "started_before", "if", "reason", "after", "dry_run")


class CancellationsView(ApiView):
    """Takes ``{"workflow_id": text, "started_after": …, "started_before": …, "if": condition}``."""

    http_method_names = ["post"]
    scope = "operate"

    def post(self, request: Request) -> Response:
        """Cancel a page of runs; answer with counts, and with what to send to go on."""
        given = self.read_object(request)
        refuse_unknown(given, *FIELDS)
        made = cancel_matching(
            take_text(given, "workflow_id", limit=200, needed=True),
            actor=self.actor,
            reason=take_reason(given),
            started_after=take_time(given, "started_after"),
            started_before=take_time(given, "started_before"),
            if_exp=take_text(given, "if", limit=100_000) or None,
            after=_read_after(given),
            dry_run=take_flag(given, "dry_run"),
        )
        return Response({"data": made.as_dict()})


def _read_after(given: dict[str, Any]) -> UUID | None:
    text = given.get("after")
    if text is None:
        return None
    if not isinstance(text, str):
        raise RequestInvalid(reason="after is no id")
    return read_uuid(text, "after")
