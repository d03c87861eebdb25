"""Suspects: runs that saw several deaths of their workers in a row.

Note [One suspect at a time]
    A process that dies takes all of its runs with it, and from outside they all look as if they had killed it.
    So a process executes one suspect at a time: from the third death on only the run that really kills sees
    further ones, and none of those that were beside it gets to CRASH_LIMIT.
"""

from __future__ import annotations

import time
from typing import Final

from ..conf import settings
from ..engine.keeper import keeper

LOOK_SECONDS: Final = 1.0
"""Time between two looks for suspects in one process; a claim has long become a slice then."""
_MANY: Final = 32_767


def _first_count() -> int:
    """Return the deaths in a row that make a run a suspect."""
    limit: int = settings.CRASH_LIMIT
    return max(1, min(2, limit - 1))


def suspect_deaths() -> range:
    """Return the deaths in a row that suspects have seen."""
    return range(_first_count(), _MANY)


def other_deaths() -> range:
    """Return the deaths in a row that all others have seen."""
    return range(_first_count())


def has_suspect(using: str) -> bool:
    """Tell whether this process executes a suspect; the claim of the slice itself counts as one."""
    return any(
        part.using == using and part.claimed.crash_count - 1 >= _first_count() for part in keeper.slices()
    )


def allowed_deaths(using: str) -> range | None:
    """Return the deaths that a run may have seen which this process takes now; None: any."""
    return other_deaths() if has_suspect(using) else None


class Lookout:
    """Says when a process that claims many runs at once should look for a suspect."""

    def __init__(self, using: str) -> None:
        self._using = using
        self._at = 0.0

    def is_due(self) -> bool:
        """Tell whether to look now; then not again for a while."""
        if time.monotonic() < self._at or has_suspect(self._using):
            return False
        self.rest()
        return True

    def rest(self) -> None:
        """Do not look for a while: a suspect may just have been taken, which is no slice yet."""
        self._at = time.monotonic() + LOOK_SECONDS
