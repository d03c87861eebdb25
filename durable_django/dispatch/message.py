"""What a message says: a version and a run's id, nothing that could be out of date."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

logger = logging.getLogger("durable_django.dispatch")

VERSION: Final = 1

_refused = itertools.count(1)


def build_body(run_id: UUID) -> dict[str, Any]:
    """Return the message's only argument."""
    return {"v": VERSION, "run": str(run_id)}


def read_body(args: Sequence[Any], kwargs: Mapping[str, Any]) -> UUID | None:
    """Return the run's id, or None for what this release cannot read.

    A run that a newer release announced in its own words is found by the tick.
    """
    body = args[0] if len(args) == 1 and not kwargs else None
    try:
        if not isinstance(body, Mapping) or body["v"] != VERSION:
            raise ValueError("not a message of this version")
        return UUID(body["run"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        logger.warning(
            "a message was refused; if it was about a run, the tick finds the run",
            extra={"refused": next(_refused), "error": f"{type(error).__name__}: {error}"[:200]},
        )
        return None
