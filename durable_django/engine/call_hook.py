"""Call a hook: whatever it raises becomes a coded error that shows nothing of the payload.

Note [A hook that raises withholds the payload]
    The message of an error in a hook may quote the value that the hook was given. So it is replaced by the
    name of the hook, the class of the error and the line that raised it; no cause is chained to it.
"""

from __future__ import annotations

import logging
from traceback import walk_tb
from typing import Any

from ..define.hooks import Hook
from ..exceptions import DurableError, HookFailed
from .error_text import read_name

logger = logging.getLogger("durable_django.hooks")


def call_hook(hook: Hook, method: str, *args: Any) -> Any:
    """Call a method of a hook and return what it returns.

    Raises:
        HookFailed: The hook raised an error that is not a DurableError; those pass.
    """
    failed = None
    try:
        return getattr(hook, method)(*args)
    except DurableError:
        raise
    except Exception as error:  # noqa: BLE001  told by class and line; anything more may quote the payload
        failed = HookFailed(hook=_name(hook, method), reason=f"{read_name(error)} at {_place(error)}")
    raise failed


def tell_hook(hook: Hook, method: str, *args: Any) -> None:
    """Tell a hook what happens; if it raises, that is logged and nothing else changes."""
    try:
        call_hook(hook, method, *args)
    except DurableError as error:
        logger.error(  # noqa: TRY400  the stack says nothing that the error does not
            "a hook failed", extra={"hook": _name(hook, method), "code": error.code, "error": str(error)}
        )


def _name(hook: Hook, method: str) -> str:
    return f"{type(hook).__module__}.{type(hook).__qualname__}.{method}"


def _place(error: Exception) -> str:
    frames = list(walk_tb(error.__traceback__))
    frame, line = frames[-1]
    return f"{frame.f_code.co_filename}:{line}"
