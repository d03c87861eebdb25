"""Who acts on the command line, and the log of what was done there."""

from __future__ import annotations

import getpass
from typing import Any

from ..models import AuditEntry


def get_actor() -> str:
    """Return ``cli:`` and the name of the operating system's user."""
    try:
        return f"cli:{getpass.getuser()}"[:120]
    except (KeyError, OSError, ImportError):  # a container may run under an id that has no name
        return "cli:unknown"


def write_audit(using: str, action: str, *, result: str, **fields: Any) -> None:
    """Log an action that is not one of the engine's operations, which log themselves."""
    AuditEntry.objects.using(using).create(actor=get_actor(), action=action, result=result[:255], **fields)
