from __future__ import annotations

from collections.abc import Sequence

from durable_django.engine.nudge import Nudge

QUIET = "tests.quiet.Quiet"


class Quiet:
    """A dispatcher whose nudges all get lost."""

    def nudge(self, nudges: Sequence[Nudge]) -> None:
        return


class Broken:
    """A dispatcher that fails."""

    def nudge(self, nudges: Sequence[Nudge]) -> None:
        raise ConnectionError("no broker")
