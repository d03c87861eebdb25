"""How a slice left the workflow function."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .interrupts import Interrupt


@dataclass(frozen=True, slots=True)
class Returned:
    """It returned a value."""

    value: Any


@dataclass(frozen=True, slots=True)
class Errored:
    """It raised an exception of the user's code."""

    error: Exception


@dataclass(frozen=True, slots=True)
class Left:
    """The engine took it out."""

    interrupt: Interrupt


Outcome = Returned | Errored | Left
