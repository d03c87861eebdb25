"""The events of a file or of standard input, one after the other: JSON lines of any number, an object, an array."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, TextIO

from django.core.management.base import CommandError

from .payload import name_kind, parse_json


@dataclass(frozen=True, slots=True)
class Given:
    """An event and where it stands: the number of its line, or in an array that of the event."""

    number: int
    event: dict[str, Any]
    unit: str = "line"

    @property
    def place(self) -> str:
        """The place in words."""
        return f"{self.unit} {self.number}"


def iterate_events(source: str) -> Iterator[Given]:
    """Give the events of a file, or of standard input for ``-``; of JSON lines, one line is in memory at a time.

    Raises:
        CommandError: It cannot be read; names the line.
    """
    try:
        with nullcontext(sys.stdin) if source == "-" else Path(source).open(encoding="utf-8-sig") as stream:
            yield from _read(stream)
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{source} cannot be read: {error}") from error


def _read(stream: TextIO) -> Iterator[Given]:
    lines = ((number, line) for number, line in enumerate(stream, 1) if line.strip())
    first = next(lines, None)
    if first is None:
        raise CommandError("there is no event in the input")
    if not _is_object(first[1]):
        yield from _read_whole("\n" * (first[0] - 1) + first[1] + stream.read())
        return
    for number, line in chain([first], lines):
        yield _check(Given(number, parse_json(line, f"line {number}")))


def _is_object(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _read_whole(text: str) -> Iterator[Given]:
    value = parse_json(text, "the input")
    events = value if isinstance(value, list) else [value]
    if not events:
        raise CommandError("there is no event in the input")
    for number, event in enumerate(events, 1):
        yield _check(Given(number, event, "event"))


def _check(given: Given) -> Given:
    if isinstance(given.event, dict):
        return given
    raise CommandError(f"{given.place} must be a JSON object with a name, not {name_kind(given.event)}")
