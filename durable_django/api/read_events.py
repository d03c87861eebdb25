"""The events of a body, one after the other: an object, or an array of objects."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeVar

from ..conf import settings
from ..exceptions import DurableError, RequestInvalid
from .measure import Limits, find_end
from .parse import parse, say_place

_SPACE: Final = re.compile(rb"[ \t\r\n]*")
_MARKS: Final = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
NEITHER: Final = "Request body must contain an event object or an array of event objects"

Made = TypeVar("Made")


def read_events(body: bytes, limits: Limits, make: Callable[[int, dict[str, Any]], Made]) -> list[Made]:
    """Return what ``make`` makes of each event, given its index; the parsed tree of one is alive at a time.

    Raises:
        RequestInvalid: The body, or an event in it, cannot be used; names the index.
    """
    start = _skip(body, 0)
    if body.startswith(_MARKS):
        raise RequestInvalid(reason=f"{NEITHER}; it begins with a byte order mark")
    if body[start : start + 1] == b"{":
        end, value = _read(body, start, limits)
        made = make(0, value)
        _expect_end(body, end)
        return [made]
    if body[start : start + 1] != b"[":
        raise RequestInvalid(reason=f"{NEITHER}; at {say_place(body, start)} there is neither")
    return list(_read_array(body, start, limits, make))


def _read_array(
    body: bytes, start: int, limits: Limits, make: Callable[[int, dict[str, Any]], Made]
) -> Iterator[Made]:
    index, limit = 0, settings.EVENTS_PER_REQUEST
    position = _skip(body, start + 1)
    while index or body[position : position + 1] != b"]":
        if index == limit:
            raise RequestInvalid(reason=f"Cannot have more than {limit} events in a batch")
        try:
            position, value = _read(body, position, limits)
            made = make(index, value)
        except DurableError as error:
            raise RequestInvalid(reason=f"events[{index}]: {error.message}", of=error) from error
        yield made
        index += 1
        position = _skip(body, position)
        if body[position : position + 1] == b"]":
            break
        if body[position : position + 1] != b",":
            raise RequestInvalid(
                reason=f"The body is not valid JSON: Expecting ',' or ']' at {say_place(body, position)}"
            )
        position = _skip(body, position + 1)
    _expect_end(body, position + 1)


def _read(body: bytes, start: int, limits: Limits) -> tuple[int, dict[str, Any]]:
    if body[start : start + 1] != b"{":
        raise RequestInvalid(reason=f"an event is an object; at {say_place(body, start)} there is none")
    end = find_end(body, start, limits)
    value = parse(body, start, len(body) if end is None else end, limits)
    if end is None or not isinstance(value, dict):
        raise RequestInvalid(reason=f"The body is not valid JSON at {say_place(body, start)}")
    return end, value


def _skip(body: bytes, position: int) -> int:
    found = _SPACE.match(body, position)
    assert found is not None  # it may be empty
    return found.end()


def _expect_end(body: bytes, position: int) -> None:
    position = _skip(body, position)
    if position < len(body):
        raise RequestInvalid(reason=f"The body is not valid JSON: Extra data at {say_place(body, position)}")
