"""JSON in and out: what a step returned, as replay will return it (law 5).

The text is ASCII JSON. JSON's own types stand for themselves; datetime, date, time, timedelta, Decimal,
UUID and bytes are stored as ``{"$durable": kind, "value": …}`` and come back as themselves. Subclasses
come back as their plain base: a tuple as list, a TextChoices member as str, an OrderedDict as dict.
"""

from __future__ import annotations

import json
from typing import Any, Final

from durable_django.engine.codec_tags import BIG_INT, MAX_DEPTH, TAG, Refused, lower, restore
from durable_django.engine.output_types import build, unbuild
from durable_django.exceptions import DurableError, StoredValueUnreadable, Unserializable

_TAG_TEXT: Final = f'"{TAG}"'
_PLAIN: Final = frozenset({str, float, bool, type(None)})


def encode(value: Any, *, what: str = "") -> str:
    """Turn a value into ASCII JSON text that ``decode`` turns back.

    Args:
        value: what is to be stored.
        what: where the value comes from, for the error's text, for example ``"step 'load': "``.

    Returns:
        Compact JSON in ASCII.

    Raises:
        Unserializable: names the path of the first value that cannot make the trip.
    """
    text = _encode_plain(value)
    if text is not None:
        return text
    try:
        return _ENCODER.encode(lower(value))
    except Refused as refused:
        raise Unserializable(what=what, path=refused.path, reason=refused.reason) from None


def decode(text: str) -> Any:
    """Turn the text that ``encode`` wrote back into the value.

    Args:
        text: what ``encode`` wrote; text from outside is parsed as plain JSON first, since it may forge tags.

    Returns:
        The value, of plain types.

    Raises:
        StoredValueUnreadable: the text is damaged or of a newer format.
    """
    decoder = _TAGGED if _TAG_TEXT in text else _DECODER
    try:
        return decoder.decode(text)
    except StoredValueUnreadable:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, ArithmeticError) as error:
        raise StoredValueUnreadable(reason=f"{type(error).__name__}, {str(error)[:200]}") from error


def encode_output(value: Any, output_type: Any = None, *, what: str = "") -> str:
    """Turn a result into JSON text; with an ``output_type``, dataclasses and pydantic models too.

    Args:
        value: what the step returned.
        output_type: the class or type hint that ``decode_output`` will build, or None.
        what: where the value comes from, for the error's text.

    Returns:
        Compact JSON in ASCII.

    Raises:
        Unserializable: the value, or a part of it, cannot be stored.
    """
    if output_type is None:
        return encode(value, what=what)
    return encode(_guard(unbuild, value, what=what), what=what)


def decode_output(text: str, output_type: Any = None, *, what: str = "") -> Any:
    """Turn stored text back into the result, built as ``output_type`` if one is given.

    Args:
        text: what ``encode_output`` wrote.
        output_type: a dataclass, a pydantic model, an Enum, or a hint made of them (``list[Item]``).
        what: where the value comes from, for the error's text.

    Returns:
        The result.

    Raises:
        Unserializable: the stored value does not fit ``output_type``.
        StoredValueUnreadable: the text is damaged.
    """
    value = decode(text)
    return value if output_type is None else _guard(build, output_type, value, what=what)


def _guard(convert: Any, *args: Any, what: str) -> Any:
    try:
        return convert(*args)
    except DurableError:
        raise
    except Exception as error:  # user code runs in here: __post_init__, validators, serializers
        reason = f"output_type does not fit, {type(error).__name__}: {str(error)[:500]}"
        raise Unserializable(what=what, path="$", reason=reason) from error


def _encode_plain(value: Any) -> str | None:
    """Encode without a copy, or return None if anything in the value needs a tag, a check or a refusal."""
    if not _is_plain(value, MAX_DEPTH):
        return None
    try:
        text = _ENCODER.encode(value)
    except ValueError:  # NaN or Infinity: the thorough way finds its path
        return None
    return None if "\\ud" in text or _TAG_TEXT in text else text


def _is_plain(value: Any, room: int) -> bool:
    kind = type(value)
    if kind in _PLAIN:
        return True
    if kind is int:
        return bool(-BIG_INT < value < BIG_INT)
    if room == 0 or (kind is not dict and kind is not list):
        return False
    return _is_plain_dict(value, room - 1) if kind is dict else _is_plain_list(value, room - 1)


def _is_plain_dict(value: dict[Any, Any], room: int) -> bool:
    for key, item in value.items():
        if type(key) is not str:
            return False
        if type(item) not in _PLAIN and not _is_plain(item, room):
            return False
    return True


def _is_plain_list(value: list[Any], room: int) -> bool:
    for item in value:
        if type(item) not in _PLAIN and not _is_plain(item, room):
            return False
    return True


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


_ENCODER: Final = json.JSONEncoder(
    ensure_ascii=True, allow_nan=False, check_circular=False, separators=(",", ":")
)
_DECODER: Final = json.JSONDecoder(parse_constant=_refuse_constant)
_TAGGED: Final = json.JSONDecoder(parse_constant=_refuse_constant, object_hook=restore)
