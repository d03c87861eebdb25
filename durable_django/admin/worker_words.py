"""The states of workers in words."""

from __future__ import annotations

from typing import Final

from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

_STATES: Final = {
    "live": ("completed", "✓", _("live")),
    "stopping": ("waiting", "■", _("stopping")),
    "lost": ("failed", "✕", _("lost")),
}


def name_worker_state(state: str) -> str:
    """Return the word for live, stopping or lost."""
    return str(_STATES[state][2])


def show_worker_state(state: str) -> SafeString:
    """Return icon, word and colour."""
    code, icon, word = _STATES[state]
    return format_html(
        '<span class="dd-state dd-{}"><span aria-hidden="true">{}</span> {}</span>', code, icon, word
    )
