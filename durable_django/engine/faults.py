"""The last fault of this process itself: of the engine, the database or the tick, not of a workflow."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from .error_text import attempt, clip, read_message, read_name
from .redact import redact_text

TEXT_BYTES: Final = 255


@dataclass(frozen=True, slots=True)
class Fault:
    """What went wrong, and when by the host's monotonic clock."""

    text: str
    at: float

    @property
    def age(self) -> float:
        """Return the seconds since then."""
        return max(time.monotonic() - self.at, 0.0)


class Faults:
    """Keeps the last one; ``pass_on`` is told of each as well."""

    def __init__(self) -> None:
        self.last: Fault | None = None
        self.pass_on: Callable[[str], None] | None = None

    def note(self, error: BaseException) -> None:
        """Remember an error; never raises."""
        text = attempt(lambda: _describe(error), "Exception")
        self.take(text)
        if self.pass_on is not None:
            self.pass_on(text)

    def take(self, text: str) -> None:
        """Remember a text as what went wrong now."""
        self.last = Fault(text=text, at=time.monotonic())


def _describe(error: BaseException) -> str:
    message = " ".join(redact_text(read_message(error)).split())
    return clip(f"{read_name(error)}: {message}" if message else read_name(error), TEXT_BYTES)


faults: Final = Faults()
