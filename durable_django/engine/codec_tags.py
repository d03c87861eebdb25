"""The types that JSON lacks: how each is written as a tagged object and read back.

``lower`` walks a value and returns a tree that the JSON encoder takes as it is; ``restore`` is the
decoder's object hook. A user's dict that holds the tag as a key is stored as a list of pairs.
"""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final, NoReturn
from uuid import UUID

from durable_django.engine.codec_refuse import Path, explain, render
from durable_django.engine.codec_time import read_datetime, read_time, write_datetime, write_time
from durable_django.engine.error_text import read_message, read_name
from durable_django.exceptions import StoredValueUnreadable

TAG: Final = "$durable"
MAX_DEPTH: Final = 200
BIG_INT: Final = 1 << 2000  # CPython may be set to refuse decimal text from 640 digits on
_SPLIT_PAIR: Final = re.compile("[\ud800-\udbff][\udc00-\udfff]")


class Refused(Exception):
    """The value at ``path`` cannot be stored; the codec turns this into a coded error."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, reason)
        self.path, self.reason = path, reason


def lower(value: Any, path: Path = None, room: int = MAX_DEPTH) -> Any:
    """Return a tree of JSON types for a value; raises Refused for what has no form."""
    if value is None or value is True or value is False:
        return value
    for base in type(value).__mro__:
        write = _WRITERS.get(base)
        if write is not None:
            return write(value, path, room)
    return _refuse(path, explain(value))


def restore(node: dict[str, Any]) -> Any:
    """Return what a decoded JSON object stands for; the decoder calls this from the inside out."""
    if TAG not in node:
        return node
    read = _READERS.get(node[TAG])
    if read is None:
        raise StoredValueUnreadable(reason=f"it has the unknown kind {str(node[TAG])[:40]!r}")
    return read(node)


def _refuse(path: Path, reason: str) -> NoReturn:
    raise Refused(render(path), reason)


def _tagged(kind: str, to_text: Callable[[Any], Any]) -> Callable[[Any, Path, int], Any]:
    def write(value: Any, path: Path, room: int) -> Any:
        try:
            found = to_text(value)
        except Exception as error:  # noqa: BLE001  a subclass or tzinfo of the user's may do anything
            reason = f"writing the {kind} raised {read_name(error)}: {read_message(error, 200)}"
            _refuse(path, reason)
        return {TAG: kind, **found} if type(found) is dict else {TAG: kind, "value": found}

    return write


def _lower_str(value: str, path: Path, room: int) -> Any:
    text = str.__str__(value)
    if text.isascii() or not _SPLIT_PAIR.search(text):
        return text
    # JSON cannot tell two lone surrogates in a row from the one character that they spell
    return {TAG: "str", "value": base64.b64encode(text.encode("utf-8", "surrogatepass")).decode("ascii")}


def _lower_int(value: int, path: Path, room: int) -> Any:
    number = int.__int__(value)
    return number if -BIG_INT < number < BIG_INT else {TAG: "int", "value": hex(number)}


def _lower_float(value: float, path: Path, room: int) -> float:
    if not math.isfinite(value):
        _refuse(path, f"{float.__repr__(value)} is not a JSON number")
    return float.__float__(value)


def _lower_decimal(value: Decimal, path: Path, room: int) -> Any:
    if not Decimal.is_finite(value):
        _refuse(path, f"Decimal({Decimal.__str__(value)}) is not a finite number")
    return {TAG: "decimal", "value": Decimal.__str__(value)}


def _lower_list(value: list[Any] | tuple[Any, ...], path: Path, room: int) -> list[Any]:
    if room == 0:
        _refuse(path, f"it is nested deeper than {MAX_DEPTH} levels, or contains itself")
    return [lower(item, (path, index), room - 1) for index, item in enumerate(value)]


def _lower_dict(value: dict[Any, Any], path: Path, room: int) -> dict[str, Any]:
    if room == 0:
        _refuse(path, f"it is nested deeper than {MAX_DEPTH} levels, or contains itself")
    lowered = {}
    for key, item in value.items():
        if not isinstance(key, str):
            _refuse(path, f"it has a key of type {type(key).__name__}; keys must be str")
        name = str.__str__(key)
        lowered[name] = lower(item, (path, name), room - 1)
    return _escape_keys(lowered)


def _escape_keys(lowered: dict[str, Any]) -> dict[str, Any]:
    if TAG not in lowered and not any(_SPLIT_PAIR.search(key) for key in lowered if not key.isascii()):
        return lowered
    return {TAG: "dict", "value": [[_lower_str(key, None, 0), item] for key, item in lowered.items()]}


def _split_timedelta(value: timedelta) -> list[int]:
    return [value.days, value.seconds, value.microseconds]


_WRITERS: Final[dict[type, Callable[[Any, Path, int], Any]]] = {
    str: _lower_str,
    int: _lower_int,
    float: _lower_float,
    list: _lower_list,
    tuple: _lower_list,
    dict: _lower_dict,
    datetime: _tagged("datetime", write_datetime),
    date: _tagged("date", date.isoformat),
    time: _tagged("time", write_time),
    timedelta: _tagged("timedelta", _split_timedelta),
    Decimal: _lower_decimal,
    UUID: _tagged("uuid", UUID.__str__),
    bytes: _tagged("bytes", lambda value: base64.b64encode(value).decode("ascii")),
}

_READERS: Final[dict[Any, Callable[[dict[str, Any]], Any]]] = {
    "str": lambda node: base64.b64decode(node["value"]).decode("utf-8", "surrogatepass"),
    "int": lambda node: int(node["value"], 16),
    "dict": lambda node: dict(node["value"]),
    "datetime": read_datetime,
    "date": lambda node: date.fromisoformat(node["value"]),
    "time": read_time,
    "timedelta": lambda node: timedelta(*node["value"]),
    "decimal": lambda node: Decimal(node["value"]),
    "uuid": lambda node: UUID(node["value"]),
    "bytes": lambda node: base64.b64decode(node["value"]),
}
