from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Value = TypeVar("Value")


def wait_until(condition: Callable[[], Value], timeout: float = 60.0, what: str = "") -> Value:
    """Return the first true value of ``condition``; raise TimeoutError after ``timeout`` seconds."""
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        if time.monotonic() >= deadline:
            raise TimeoutError(f"{what or 'the condition'} did not come true within {timeout:g} s: {value!r}")
        time.sleep(0.02)
    return value
