"""What pruning deleted, in numbers of rows."""

from __future__ import annotations

from dataclasses import astuple, dataclass


@dataclass(frozen=True, slots=True)
class Pruned:
    """How many rows went, or would go; the children of runs are counted when they are deleted."""

    runs: int = 0
    steps: int = 0
    attempts: int = 0
    waits: int = 0
    events: int = 0
    deliveries: int = 0
    schedules: int = 0
    bulk: int = 0

    def __add__(self, other: Pruned) -> Pruned:
        return Pruned(*(mine + more for mine, more in zip(astuple(self), astuple(other), strict=True)))
