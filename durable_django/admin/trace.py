"""Tracebacks for people: the frames of their own code first, those of libraries apart."""

from __future__ import annotations

import re
import sysconfig
from dataclasses import dataclass
from typing import Final

_FRAME: Final = re.compile(r'^\s*(?:\| )*\s*File "(?P<path>[^"]+)", line \d+')
_FOREIGN: Final = re.compile(r"[/\\](?:site-packages|dist-packages)[/\\]|^<frozen ")
_LIBRARY: Final = sysconfig.get_paths()["stdlib"]
_HEAD: Final = "Traceback (most recent call last):"


@dataclass(frozen=True)
class Trace:
    """``own`` is what the project's code did, with the errors' last lines; ``whole`` is the stored text."""

    own: str
    whole: str
    folded: int


def fold_trace(text: str) -> Trace:
    """Separate the frames of libraries; a trace without own frames is shown as it is."""
    kept: list[str] = []
    own = folded = 0
    foreign = False
    for line in text.splitlines():
        frame = _FRAME.match(line)
        if frame:
            foreign = _is_foreign(frame["path"])
            own, folded = own + (not foreign), folded + foreign
        elif not line.startswith((" ", "\t")) or line.strip() == _HEAD:
            foreign = False
        if not foreign:
            kept.append(line)
    return Trace(own="\n".join(kept) if own else text, whole=text, folded=folded if own else 0)


def _is_foreign(path: str) -> bool:
    return path.startswith(_LIBRARY) or bool(_FOREIGN.search(path))
