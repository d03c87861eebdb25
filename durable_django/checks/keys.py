"""E001 the setting is no dict, E002 unknown keys, E003 values out of range."""

from __future__ import annotations

import difflib
from typing import Any, Final

from django.conf import settings as django_settings
from django.core.checks import CheckMessage, Error

from ..conf import DEFAULTS, SETTING
from .rules import RULES

SECRET: Final = {"AI_KEYS", "WEBHOOKS"}


def check_settings(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """Report keys that do not exist and values that cannot work."""
    given = getattr(django_settings, SETTING, None)
    if given is None:
        return []
    if not isinstance(given, dict):
        return [_not_a_dict(given)]
    return [message for key, value in given.items() for message in _check_key(key, value)]


def _check_key(key: Any, value: Any) -> list[CheckMessage]:
    if key not in DEFAULTS:
        return [_unknown_key(key)]
    if RULES[key].fits(value):
        return []
    return [
        Error(
            f"{SETTING}[{key!r}] cannot be {_show(key, value)}.",
            hint=f"Use {RULES[key].what}. The default is {DEFAULTS[key]!r}.",
            id="durable_django.E003",
        )
    ]


def _show(key: str, value: Any) -> str:
    return f"this {type(value).__name__}, which may hold secrets" if key in SECRET else repr(value)


def _unknown_key(key: Any) -> CheckMessage:
    close = difflib.get_close_matches(str(key).upper(), DEFAULTS, n=1, cutoff=0.5)
    known = f"Did you mean {close[0]!r}?" if close else f"Known keys: {', '.join(sorted(DEFAULTS))}."
    return Error(f"{SETTING} has no key {key!r}.", hint=known, id="durable_django.E002")


def _not_a_dict(given: Any) -> CheckMessage:
    return Error(
        f"{SETTING} is a {type(given).__name__}, not a dict.",
        hint=f'Write {SETTING} = {{"RETRIES": 4}}, or leave it out for the defaults.',
        id="durable_django.E001",
    )
