"""Which hooks are in force: those of the setting HOOKS, then those of the workflow."""

from __future__ import annotations

import functools
from typing import Any

from django.utils.module_loading import import_string

from ..conf import settings
from ..define.hooks import Hook
from ..define.triggers import RESERVED
from ..define.workflow import Workflow
from ..exceptions import InvalidSetting

REQUEST_NAME = "durable/run.requested"
"""The event that holds the input of a run which was started by name."""

Hooks = tuple[Hook, ...]


def find_hooks(workflow: Workflow[Any, Any] | None = None) -> Hooks:
    """Return the project's hooks and the workflow's, the one nearest to the store first.

    Raises:
        InvalidSetting: HOOKS names something that is no hook.
    """
    given = settings.HOOKS
    own: Hooks = () if workflow is None else workflow.hooks
    return _resolve(tuple(given)) + own if given else own


def is_own(name: str) -> bool:
    """Tell whether an event of this name is written by the engine itself, with nothing for hooks to hide."""
    return name.startswith(RESERVED) and name != REQUEST_NAME


@functools.lru_cache(maxsize=16)
def _resolve(given: tuple[Any, ...]) -> Hooks:
    return tuple(_resolve_one(each) for each in given)


def _resolve_one(given: Any) -> Hook:
    try:
        found = import_string(given) if isinstance(given, str) else given
        if not isinstance(found, Hook) and callable(found):
            found = found()  # a class, or a function that makes the hook
    except Exception as error:
        raise InvalidSetting(key="HOOKS", value=given, reason=str(error)) from error
    if not isinstance(found, Hook):
        raise InvalidSetting(key="HOOKS", value=given, reason="it is no Hook")
    return found
