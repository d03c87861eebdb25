"""The instant of a request: read from the database once, however many columns and filters compare with it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.http import HttpRequest

from ..clock import read_now
from ..engine.alias import get_alias


def find_moment(request: HttpRequest) -> datetime:
    """Return the database's time when it was first asked for during this request."""
    asked: Any = request
    if not hasattr(asked, "durable_moment"):
        asked.durable_moment = read_now(get_alias())
    moment: datetime = asked.durable_moment
    return moment
