"""``/v1/workers``: the processes that report themselves, and how to drain one."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from ..engine.operate_workers import drain_worker, list_workers, undrain_worker, worker_as_dict
from .base import ApiView
from .bodies import refuse_unknown, take_reason


class WorkersView(ApiView):
    """Lists the workers."""

    http_method_names = ["get"]

    def get(self, request: Request) -> Response:
        """Answer with all of them, by name."""
        return Response({"data": [worker_as_dict(row) for row in list_workers(self.using)]})


class DrainView(ApiView):
    """Lets a worker finish what it has and take nothing new."""

    http_method_names = ["post"]
    scope = "operate"

    def post(self, request: Request, name: str) -> Response:
        """Answer with the worker; 409 if it is stopping already, or lost."""
        drain_worker(name, actor=self.actor, reason=_take_reason(self, request), using=self.using)
        return Response({"data": _find(self.using, name)})


class UndrainView(ApiView):
    """Lets a worker that was drained take runs again."""

    http_method_names = ["post"]
    scope = "operate"

    def post(self, request: Request, name: str) -> Response:
        """Answer with the worker; 409 if it takes runs, or is lost."""
        undrain_worker(name, actor=self.actor, reason=_take_reason(self, request), using=self.using)
        return Response({"data": _find(self.using, name)})


def _take_reason(view: ApiView, request: Request) -> str:
    given = view.read_object(request)
    refuse_unknown(given, "reason")
    return take_reason(given)


def _find(using: str, name: str) -> dict[str, Any]:
    return worker_as_dict(list_workers(using).get(name=name))
