"""What kind of process this is."""

from __future__ import annotations

from django.core import mail


def is_test() -> bool:
    """Tell whether Django's test environment is set up, which turns DEBUG off and collects mail."""
    return hasattr(mail, "outbox")
