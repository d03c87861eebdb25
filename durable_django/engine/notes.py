"""What a slice leaves on its run besides its results: the version of its code, and a warning."""

from __future__ import annotations

from ..store.base import Notes
from .slice import Slice


def read_notes(part: Slice) -> Notes:
    """Return what is not on the run yet."""
    version = part.workflow.version
    return Notes(
        version=None if version == part.claimed.version else version,
        warning=part.replay.order.warning or None,
    )
