"""What a scene is, and the table of all scenes."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

Deed = Callable[[], Any]


@dataclass(frozen=True)
class Scene:
    """Workflows, and what is done to them, one deed after the other; each deed may be repeated.

    ``expected`` are the runs that must be there in the end, as workflow, status and output.
    """

    name: str
    declare: Callable[[str], None]
    deeds: Sequence[Deed]
    expected: Sequence[Sequence[Any]] = field(default=())


SCENES: dict[str, Scene] = {}
KINDS = ("def", "async")
ROOMS = ("scenes_steps", "scenes_waits", "scenes_children", "scenes_starts", "scenes_ends")


def add(name: str, *deeds: Deed, expected: Sequence[Sequence[Any]]) -> Callable[[Any], Any]:
    """Add the decorated function, which declares workflows of a kind, as a scene."""

    def keep(declare: Callable[[str], None]) -> Callable[[str], None]:
        SCENES[name] = Scene(name, declare, deeds, expected)
        return declare

    return keep


def load() -> dict[str, Scene]:
    """Return all scenes."""
    for room in ROOMS:
        importlib.import_module(f"tests.crash.{room}")
    return SCENES
