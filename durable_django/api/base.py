"""What all views have in common: key, scope, throttle, JSON, errors; nothing from the project's defaults."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, cast

from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from ..conf import settings
from ..engine.alias import get_alias
from ..exceptions import RequestInvalid
from ..models.audit import acting_from
from .authenticate import BearerKey, Sender
from .errors import ScopeMissing, answer_error
from .measure import read_limits
from .read_body import read_body
from .read_events import read_events
from .render import AsciiRenderer, OnlyJson
from .throttles import ApiThrottle


class HasScope(BasePermission):
    """Asks for the scope that the view names for the method."""

    def has_permission(self, request: Request, view: Any) -> bool:
        """Tell so, or raise.

        Raises:
            ScopeMissing: The key lacks it.
        """
        needed = view.scopes.get(request.method, view.scope)
        sender = request.user
        if isinstance(sender, Sender) and (sender.key is None or needed in sender.key.scopes):
            return True
        raise ScopeMissing(f"The key lacks the scope {needed!r}")


class ApiView(APIView):
    """A view of ``/v1/``."""

    authentication_classes: Sequence[Any] = [BearerKey]
    permission_classes: Sequence[Any] = [HasScope]
    throttle_classes: Sequence[Any] = [ApiThrottle]
    parser_classes: Sequence[Any] = []
    renderer_classes = [AsciiRenderer]
    content_negotiation_class = OnlyJson
    versioning_class = None
    metadata_class = None
    scope: ClassVar[str] = "read"
    scopes: ClassVar[dict[str, str]] = {}

    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        """Answer; the operator log names the address that the request came from."""
        with acting_from(str(request.META.get("REMOTE_ADDR") or "")):
            return super().dispatch(request, *args, **kwargs)

    def get_exception_handler(self) -> Callable[[Exception, dict[str, Any]], Response]:
        """Return our handler, whatever the project's is."""
        return answer_error

    @property
    def using(self) -> str:
        """The alias of the durable tables."""
        return get_alias()

    @property
    def sender(self) -> Sender:
        """Who sent the request."""
        return cast(Sender, self.request.user)

    @property
    def actor(self) -> str:
        """Who the operator log says it was."""
        return self.sender.name

    def read_object(self, request: Request) -> dict[str, Any]:
        """Return the JSON object in the body; no body is an empty one.

        Raises:
            RequestInvalid: It is not one, or over the limits of an event.
        """
        body = read_body(request._request, settings.EVENT_BYTES)
        return read_object(body) if body.strip() else {}


def read_object(body: bytes) -> dict[str, Any]:
    """Return the one JSON object of a body.

    Raises:
        RequestInvalid: It is not one, or over the limits of an event.
    """
    if not body.lstrip(b" \t\r\n").startswith(b"{"):
        raise RequestInvalid(reason="The body must be a JSON object")
    return read_events(body, read_limits(), lambda index, value: value)[0]
