"""Durable workflows for Django: plain functions that survive crashes, deploys and months of waiting.

The names below are the public interface; they are loaded when first used, so that importing the package
needs neither settings nor the app registry.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .define.ai import Anthropic, OpenAI
    from .define.async_context import AsyncContext
    from .define.cancel import Cancel
    from .define.context import Context
    from .define.cron import Cron
    from .define.hooks import Hook, Place
    from .define.model_change import ModelChange
    from .define.step import step
    from .define.step_key import step_key
    from .define.timeouts import Timeouts
    from .define.triggers import EventTrigger
    from .define.waits import EventWait, SignalWait
    from .define.workflow import workflow
    from .engine.handle import RunHandle
    from .engine.receive import asend_event, send_event, send_events
    from .engine.send_signal import asend_signal, send_signal
    from .exceptions import NonRetriableError, RetryAfterError, StepError
    from .types import Event

__version__ = "0.1.0"

_HOMES = {
    "Anthropic": "define.ai",
    "AsyncContext": "define.async_context",
    "Cancel": "define.cancel",
    "Context": "define.context",
    "Cron": "define.cron",
    "Event": "types",
    "EventTrigger": "define.triggers",
    "EventWait": "define.waits",
    "Hook": "define.hooks",
    "ModelChange": "define.model_change",
    "NonRetriableError": "exceptions",
    "OpenAI": "define.ai",
    "Place": "define.hooks",
    "RetryAfterError": "exceptions",
    "RunHandle": "engine.handle",
    "SignalWait": "define.waits",
    "StepError": "exceptions",
    "Timeouts": "define.timeouts",
    "asend_event": "engine.receive",
    "asend_signal": "engine.send_signal",
    "send_event": "engine.receive",
    "send_events": "engine.receive",
    "send_signal": "engine.send_signal",
    "step": "define.step",
    "step_key": "define.step_key",
    "workflow": "define.workflow",
}

__all__ = [
    "Anthropic",
    "AsyncContext",
    "Cancel",
    "Context",
    "Cron",
    "Event",
    "EventTrigger",
    "EventWait",
    "Hook",
    "ModelChange",
    "NonRetriableError",
    "OpenAI",
    "Place",
    "RetryAfterError",
    "RunHandle",
    "SignalWait",
    "StepError",
    "Timeouts",
    "asend_event",
    "asend_signal",
    "send_event",
    "send_events",
    "send_signal",
    "step",
    "step_key",
    "workflow",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
