"""Whose page of a run is asked for, and with which parameters."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.contrib.admin import AdminSite
from django.http import HttpRequest
from django.utils.http import urlencode

from ..models import Run


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Whose page, of which run, with which parameters."""

    site: AdminSite
    request: HttpRequest
    run: Run
    now: datetime

    @property
    def after(self) -> int:
        """Return the key after which the page begins."""
        text = self.request.GET.get("after", "")
        return int(text) if text.isdecimal() and len(text) < 19 else 0

    def get(self, name: str) -> str:
        """Return a parameter."""
        return str(self.request.GET.get(name, ""))

    def link(self, tab: str, **parameters: str | int) -> str:
        """Return the address of a tab with these parameters, those that are empty left out."""
        return "?" + urlencode({"tab": tab, **{name: value for name, value in parameters.items() if value}})
