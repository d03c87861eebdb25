"""``ctx.logger``: silent while memoized code is replayed, so that each line is written once."""

from __future__ import annotations

import logging
from collections.abc import MutableMapping
from typing import Any

from .invoke import current_step
from .redact import redact
from .slice import Slice

Adapter = logging.LoggerAdapter[logging.Logger]


class ReplayAwareLogger(Adapter):
    """Adds ``run_id``, ``workflow``, ``attempt`` and ``step`` to each record; drops records during replay.

    ``step`` is the id of the step whose function is running, empty between steps.
    """

    def __init__(self, part: Slice) -> None:
        super().__init__(logging.getLogger(f"durable_django.workflow.{part.workflow.id}"), {})
        self._part = part

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802  logging's name
        """Return whether a record of this level would be written now."""
        # The function of a step never runs in a replay, whatever branches beside it do.
        return super().isEnabledFor(level) and (bool(current_step()) or not self._part.replaying)

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        """Write a record; fields named in REDACT are masked in arguments and ``extra``."""
        if not self.isEnabledFor(level):
            return
        kwargs["stacklevel"] = kwargs.get("stacklevel", 1) + 1  # past this method
        super().log(level, redact(msg), *map(redact, args), **kwargs)

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        """Add the run's fields to ``extra``."""
        own = {
            "run_id": str(self._part.claimed.id),
            "workflow": self._part.workflow.id,
            "attempt": self._part.attempt,
            "step": current_step(),
        }
        kwargs["extra"] = own | redact(dict(kwargs.get("extra") or {}))
        return msg, kwargs
