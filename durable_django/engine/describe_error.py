"""An exception as bounded, storable text; never raises, whatever the exception does."""

from __future__ import annotations

from durable_django.engine.error_stack import render_stack
from durable_django.engine.error_text import attempt, read_code, read_message, read_name
from durable_django.engine.redact import redact_text


def describe(error: BaseException) -> dict[str, str]:
    """Describe an exception for storage and for the operator's screen.

    Args:
        error: any exception.

    Returns:
        ``name`` (class name, ≤ 200 bytes), ``message`` (≤ 8 KB), ``stack`` (≤ 64 KB, without this
        package's frames, save one that raised itself) and ``code`` (of a DurableError, else empty):
        UTF-8 text without NUL and lone surrogates, in which fields named in REDACT are masked.
    """
    return {
        "name": read_name(error),
        "message": redact_text(read_message(error)),
        "stack": redact_text(attempt(lambda: render_stack(error), "(the stack could not be read)")),
        "code": read_code(error),
    }
