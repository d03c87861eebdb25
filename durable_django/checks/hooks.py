"""E020 an entry of HOOKS that is no hook."""

from __future__ import annotations

from typing import Any

from django.core.checks import CheckMessage, Error

from ..engine.find_hooks import find_hooks
from ..exceptions import InvalidSetting


def check_hooks(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """Report the first hook that cannot be imported or made; until it is mended no run is executed."""
    try:
        find_hooks()
    except InvalidSetting as error:
        hint = "Use Hook objects, or dotted paths of objects, classes or functions that make them."
        return [Error(error.message, hint=hint, id="durable_django.E020")]
    except TypeError:
        return []  # not a list: E003 says so
    return []
