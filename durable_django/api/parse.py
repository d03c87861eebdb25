"""Parse one JSON value and refuse, with its path, what the store must not hold."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

from ..engine.codec_refuse import Path, render
from ..exceptions import RequestInvalid
from .measure import Limits

_SUSPECT: Final = re.compile(rb"\\u0000|\\u[dD][89a-fA-F]|NaN|Infinity|[eE]\+?[0-9]{3}|[0-9]{300}")
"""Text without these has no value that must be looked for."""
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
SHOWN: Final = 60


class _Twice(ValueError):
    """A key occurs twice in one object."""


class _TooLong:
    """Stands for a whole number of too many digits until its path is known."""


def parse(body: bytes, start: int, end: int, limits: Limits) -> Any:
    """Return the value of ``body[start:end]``, which has been measured.

    Raises:
        RequestInvalid: It is not JSON; says where.
    """
    piece = body[start:end]
    try:
        text = piece.decode()
        value = _make_decoder(limits.digits).decode(text)
    except UnicodeDecodeError as error:
        raise RequestInvalid(reason=f"The body is not UTF-8 at byte {start + error.start}") from error
    except json.JSONDecodeError as error:
        raise _not_json(body, start + len(text[: error.pos].encode()), error.msg) from error
    except _Twice as error:
        reason = f"The key {str(error)[:SHOWN]!a} occurs twice in one object"
        raise RequestInvalid(reason=reason) from error
    if limits.digits < 300 or _SUSPECT.search(piece):
        _look(value, None)
    return value


def say_place(body: bytes, position: int) -> str:
    """Return the line and column of a byte, both counted from 1."""
    before = body[:position]
    column = len(before[before.rfind(b"\n") + 1 :].decode(errors="replace")) + 1
    return f"line {before.count(10) + 1} column {column}"


def _not_json(body: bytes, position: int, message: str) -> RequestInvalid:
    return RequestInvalid(reason=f"The body is not valid JSON: {message} at {say_place(body, position)}")


@lru_cache(maxsize=8)
def _make_decoder(digits: int) -> json.JSONDecoder:
    def read_int(text: str) -> Any:
        return int(text) if len(text) <= digits else _TooLong()

    return json.JSONDecoder(object_pairs_hook=_build, parse_int=read_int)


def _build(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        raise _Twice(next(name for name in names if names.count(name) > 1))
    return made


def _look(value: Any, path: Path) -> None:
    find = _FINDERS.get(type(value))
    if find is not None:
        find(value, path)


def _look_at_object(value: dict[str, Any], path: Path) -> None:
    for key, item in value.items():
        _look_at_text(key, (path, key))
        _look(item, (path, key))


def _look_at_array(value: list[Any], path: Path) -> None:
    for index, item in enumerate(value):
        _look(item, (path, index))


def _look_at_text(value: str, path: Path) -> None:
    if "\x00" in value:
        raise _refuse(path, "has a NUL character")
    if _SURROGATE.search(value):
        raise _refuse(path, "has a lone surrogate")


def _look_at_number(value: float, path: Path) -> None:
    if not math.isfinite(value):
        raise _refuse(path, "is not a finite number")


def _refuse_int(value: _TooLong, path: Path) -> None:
    raise _refuse(path, "is a whole number of too many digits")


def _refuse(path: Path, reason: str) -> RequestInvalid:
    return RequestInvalid(reason=f"The value at {render(path)} {reason}")


_FINDERS: Final[dict[type, Callable[[Any, Path], None]]] = {
    dict: _look_at_object,
    list: _look_at_array,
    str: _look_at_text,
    float: _look_at_number,
    _TooLong: _refuse_int,
}
