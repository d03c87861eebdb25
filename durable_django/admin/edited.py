"""Payloads in forms: shown masked, and what was masked put back when the form comes in."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from typing import Any, Final

from ..engine.redact import MASK

PLAIN: Final = (str, int, float, Mapping, list, tuple, type(None))


def write_json(value: Any) -> str:
    """Return a value as indented JSON, in its own order."""
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)


def restore(edited: Any, original: Any) -> Any:
    """Return what was edited, with the original value where it was masked or has no form in JSON.

    A mask where the original has nothing stays what it is: a text.
    """
    if edited == MASK and original is not None:
        return original
    if not isinstance(original, PLAIN) and edited == str(original):
        return original
    if isinstance(edited, dict) and isinstance(original, Mapping):
        return {key: restore(value, original.get(key)) for key, value in edited.items()}
    if isinstance(edited, list) and isinstance(original, (list, tuple)):
        others = [*original, *[None] * len(edited)]
        return [restore(value, other) for value, other in zip(edited, others, strict=False)]
    return edited


def compare(before: Any, after: Any) -> list[tuple[str, str]]:
    """Return the lines of a comparison, each with a sign: minus, plus or a space."""
    old, new = write_json(before).splitlines(), write_json(after).splitlines()
    lines = [line for line in difflib.ndiff(old, new) if not line.startswith("?")]
    return [(line[0], line[2:]) for line in lines]
