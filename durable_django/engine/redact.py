"""Mask the fields named in REDACT wherever payloads are shown: screens, logs, texts of errors.

What a workflow receives is never masked, and neither is what is stored of events and outputs.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import Any, Final

from ..conf import settings
from .error_text import attempt

MASK: Final = "[redacted]"
WITHHELD: Final = "[withheld]"
"""Stands for a value that could not be masked, or that a hook failed on."""
DEPTH: Final = 100
_SEPARATORS: Final = re.compile(r"[-_\s]+")
_VALUE: Final = (
    r"""("(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|(?:bearer|basic|digest|token)\s+[^\s,;"']+|[^\s,;&)}\]"'\\]+)"""
)


def redact(value: Any) -> Any:
    """Return a copy in which the fields named in REDACT are masked, at any depth; never raises."""
    names = attempt(lambda: tuple(settings.REDACT), None)
    if names is None:
        return WITHHELD
    return attempt(lambda: _mask(value, _compile_keys(names), DEPTH), WITHHELD) if names else value


def redact_text(text: str) -> str:
    """Return the text with what follows a name in REDACT and ``=`` or ``:`` masked; never raises."""
    names = attempt(lambda: tuple(settings.REDACT), None)
    if names is None:
        return WITHHELD
    return attempt(lambda: _compile_text(names).sub(_keep_name, text), WITHHELD) if names else text


def _mask(value: Any, keys: re.Pattern[str], room: int) -> Any:
    if isinstance(value, Mapping):
        return {key: _mask_field(key, item, keys, room) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        masked = [_mask(item, keys, room - 1) if room else WITHHELD for item in value]
        return tuple(masked) if isinstance(value, tuple) else masked
    return value


def _mask_field(key: Any, item: Any, keys: re.Pattern[str], room: int) -> Any:
    if isinstance(key, str) and keys.fullmatch(_SEPARATORS.sub("", key)):
        return MASK
    return _mask(item, keys, room - 1) if room else WITHHELD


def _keep_name(found: re.Match[str]) -> str:
    return f"{found[1]}{MASK}"


@functools.lru_cache(maxsize=16)
def _compile_keys(names: tuple[str, ...]) -> re.Pattern[str]:
    bare = (re.escape(_SEPARATORS.sub("", name)).replace(r"\*", ".*") for name in names)
    return re.compile("|".join(bare), re.IGNORECASE)


@functools.lru_cache(maxsize=16)
def _compile_text(names: tuple[str, ...]) -> re.Pattern[str]:
    words = "|".join(_write_word(name) for name in names)
    return re.compile(rf"""(\b(?:{words})\\*["']?\s*(?:=>|[:=])\s*\\*){_VALUE}""", re.IGNORECASE)


def _write_word(name: str) -> str:
    parts = _SEPARATORS.split(name)
    return "[-_]?".join(re.escape(part).replace(r"\*", r"[\w-]*") for part in parts)
