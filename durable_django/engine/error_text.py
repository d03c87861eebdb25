"""Name, message and code of an exception as bounded text that a database takes; never raises."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, TypeVar

from durable_django.exceptions import DurableError, StepError

T = TypeVar("T")
U = TypeVar("U")

MESSAGE_BYTES: Final = 8 * 1024
NAME_BYTES: Final = 200
_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")


def attempt(read: Callable[[], T], otherwise: U) -> T | U:
    """Return what ``read`` returns, or ``otherwise`` if it raises."""
    try:
        return read()
    except Exception:  # noqa: BLE001  __str__, __cause__ and the like are the user's code
        return otherwise


def clean(text: str) -> bytes:
    """Return text as UTF-8 in which NUL and lone surrogates are replaced by U+FFFD."""
    return _UNSTORABLE.sub("\ufffd", text).encode()


def clip(text: str, limit: int) -> str:
    """Return at most ``limit`` bytes of cleaned text; cheap however long the text is."""
    encoded = clean(str.__getitem__(text, slice(limit)))
    if len(encoded) <= limit and str.__len__(text) <= limit:
        return encoded.decode()
    return encoded[: limit - 3].decode(errors="ignore") + "…"


def read_name(error: BaseException) -> str:
    """Return the class name of an exception, at most 200 bytes."""
    return attempt(lambda: clip(type(error).__qualname__, NAME_BYTES), "Exception")


def read_code(error: BaseException) -> str:
    """Return the code of a DurableError, else nothing."""
    return attempt(lambda: clip(error.code, NAME_BYTES) if isinstance(error, DurableError) else "", "")


def read_message(error: BaseException, limit: int = MESSAGE_BYTES) -> str:
    """Return what an exception says, at most ``limit`` bytes; its arguments if ``__str__`` fails."""
    said = attempt(lambda: clip(_compose(error), limit), None)
    if said is not None:
        return said
    return attempt(lambda: clip(BaseException.__str__(error), limit), "(the message could not be read)")


def _compose(error: BaseException) -> str:
    if not isinstance(error, DurableError) or isinstance(error, StepError):
        return str(error)
    # the code has a field of its own
    return f"{error.message} {error.hint}" if error.hint else error.message
