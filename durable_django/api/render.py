"""JSON as the only form of an answer, whatever the request prefers."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from decimal import Decimal
from typing import Any

from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.utils.encoders import JSONEncoder

from ..duration import format_duration


class ValueEncoder(JSONEncoder):
    """Writes what the engine's codec gives back; bytes as hexadecimal digits."""

    def default(self, value: Any) -> Any:
        """Return a JSON form of a value that has none."""
        if isinstance(value, bytes):
            return value.hex()
        if isinstance(value, Decimal):
            return str(value)
        return format_duration(value) if isinstance(value, timedelta) else super().default(value)


class AsciiRenderer(JSONRenderer):
    """ASCII JSON, so that a lone surrogate in a stored text cannot break the answer."""

    charset = None
    encoder_class = ValueEncoder
    ensure_ascii = True


class OnlyJson(BaseContentNegotiation):
    """Takes no notice of Accept, ``format`` and Content-Type."""

    def select_parser(self, request: Request, parsers: Iterable[Any]) -> Any:
        """Return nothing: bodies are read by the views, see ``read_body``."""
        return None

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        """Return the first renderer."""
        first = next(iter(renderers))
        return first, first.media_type
