"""Where a verb writes: lines for people, one JSON document for programs, never terminal codes from data."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from datetime import date, time, timedelta
from typing import Any, Final

from django.core.management.base import OutputWrapper

from ..duration import format_duration

# Data may hold codes that move the cursor or rename the window; colours are harmless and stay.
_CONTROL: Final = re.compile(r"\x1b(?!\[[0-9;]*m)|[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f-\x9f]")
_COLOURS: Final = {"ok": "32", "warn": "33", "fail": "31", "dim": "2", "bold": "1", "wait": "36"}


class Console:
    """Writes to the command's streams, at once, so that a reader of a pipe sees each line as it comes.

    Args:
        out: stream of results.
        err: stream of remarks that are no result.
        as_json: whether ``--json`` was given.
        colour: False forbids colour; otherwise a terminal gets it unless NO_COLOR is set.
    """

    def __init__(
        self, out: OutputWrapper, err: OutputWrapper, *, as_json: bool = False, colour: bool = True
    ) -> None:
        self._out = out
        self._err = err
        self.as_json = as_json
        self._colour = colour and out.isatty() and not os.environ.get("NO_COLOR")

    def line(self, text: str = "") -> None:
        """Write a line for people."""
        _write(self._out, text)

    def note(self, text: str) -> None:
        """Write a remark to the error stream; it is no failure."""
        _write(self._err, text, lambda shown: shown)

    def data(self, value: Any) -> None:
        """Write the JSON document of ``--json``; instants are ISO 8601."""
        _write(self._out, to_json(value, indent=2))

    def paint(self, colour: str, text: str) -> str:
        """Return the text in a colour of its meaning, or as it is where colours are unwanted."""
        return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m" if self._colour else text

    def table(self, rows: Sequence[tuple[str, ...]]) -> None:
        """Write rows, the first of them headings, in columns as wide as needed."""
        widths = [max(len(row[number]) for row in rows) for number in range(len(rows[0]))]
        for position, row in enumerate(rows):
            text = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            self.line(self.paint("bold", text) if position == 0 else text)


def to_json(value: Any, indent: int | None = None) -> str:
    """Return JSON text of what was decoded from the store, readable rather than reversible."""
    return json.dumps(value, indent=indent, ensure_ascii=False, default=_simplify)


def _simplify(value: Any) -> Any:
    if isinstance(value, timedelta):
        return format_duration(value)
    if isinstance(value, (date, time)):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    return str(value)


def _write(stream: OutputWrapper, text: str, style: Any = None) -> None:
    encoding = getattr(stream, "encoding", None) or "utf-8"
    shown = _CONTROL.sub("?", text).encode(encoding, "backslashreplace").decode(encoding)
    stream.write(shown, style)
    stream.flush()
