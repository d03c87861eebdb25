"""Results of the user's own classes: taken apart before the codec, built again after it.

``output_type`` may be a dataclass, a pydantic model (known by its methods, never imported), an Enum,
or a hint made of them: ``list[Item]``, ``dict[str, Item]``, ``Item | None``. Any other hint changes nothing.
"""

from __future__ import annotations

import json
import types
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Annotated, Any, Final, Union, get_args, get_origin, get_type_hints


def unbuild(value: Any) -> Any:
    """Return a value with each dataclass and model in it replaced by a dict, each Enum by its value."""
    kind = type(value)
    if _is_model(kind):
        return value.model_dump(mode="json", by_alias=True, round_trip=True)
    if is_dataclass(kind):
        return {field.name: unbuild(getattr(value, field.name)) for field in fields(value) if field.init}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, dict):
        return {key: unbuild(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [unbuild(item) for item in value]
    return value


def build(hint: Any, value: Any) -> Any:
    """Return the decoded value as the type that a hint names; TypeError or ValueError if it does not fit."""
    if value is None or not _needs_build(hint):
        return value
    if _is_model(hint):
        return _build_model(hint, value)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return hint(value)
    if isinstance(hint, type) and is_dataclass(hint):
        return _build_dataclass(hint, value)
    return _build_generic(hint, value)


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and hasattr(kind, "model_validate") and hasattr(kind, "model_dump")


def _build_model(model: Any, value: Any) -> Any:
    # from text, so that strict models take JSON's form of a datetime
    if hasattr(model, "model_validate_json"):
        return model.model_validate_json(json.dumps(value, allow_nan=False))
    return model.model_validate(value)


def _build_dataclass(kind: Any, value: Any) -> Any:
    hints = get_type_hints(kind, include_extras=True)
    return kind(**{name: build(hints.get(name), item) for name, item in value.items()})


def _build_generic(hint: Any, value: Any) -> Any:
    origin, args = get_origin(hint) or hint, get_args(hint)
    if origin is Annotated:
        return build(args[0], value)
    if origin in (Union, types.UnionType):
        return build(_choose(args), value)
    if origin is dict:
        return {key: build(args[1], item) for key, item in value.items()}
    if origin is tuple:
        return _build_tuple(args, value)
    return _COLLECTIONS[origin](build(args[0] if args else None, item) for item in value)


def _build_tuple(args: tuple[Any, ...], value: list[Any]) -> tuple[Any, ...]:
    if not args:
        return tuple(value)
    if len(args) == 2 and args[1] is Ellipsis:
        return tuple(build(args[0], item) for item in value)
    return tuple(build(hint, item) for hint, item in zip(args, value, strict=True))


def _choose(options: tuple[Any, ...]) -> Any:
    candidates = [option for option in options if _needs_build(option)]
    if len(candidates) > 1:
        raise TypeError(f"the stored value does not tell which of {options} it was")
    if len(options) - (type(None) in options) > 1:
        raise TypeError(f"a union of a class with other types ({options}) is not told apart when stored")
    return candidates[0]


def _needs_build(hint: Any) -> bool:
    if _is_model(hint) or is_dataclass(hint) or (isinstance(hint, type) and issubclass(hint, Enum)):
        return True
    if hint in (tuple, set, frozenset) or get_origin(hint) in (tuple, set, frozenset):
        return True
    if get_origin(hint) in (list, dict, Union, types.UnionType, Annotated):
        return any(_needs_build(argument) for argument in get_args(hint))
    return False


_COLLECTIONS: Final[dict[Any, Callable[..., Any]]] = {list: list, set: set, frozenset: frozenset}
