"""The style sheet and the script of the console; 6.1 and later of Django add nonces to them."""

from __future__ import annotations

from typing import Final

from django import forms
from django.forms.widgets import Script

CONSOLE: Final = forms.Media(
    css={"all": ["durable_django/console.css"]},
    js=[Script("durable_django/console.js", defer=True)],  # type: ignore[list-item]
)
