"""The base of all errors: a stable code, a sentence with blanks, a remedy.

A class docstring says when the error is raised. ``code`` is stable and may be matched on; ``text``
is the sentence with its blanks; ``hint`` says what to do about it; ``retriable`` tells whether another
attempt may succeed.
"""

from __future__ import annotations

from typing import Any, ClassVar


class DurableError(Exception):
    """Base of all errors of this package; never raised itself."""

    code: ClassVar[str] = "durable_error"
    text: ClassVar[str] = "{message}"
    hint: ClassVar[str] = ""
    retriable: ClassVar[bool] = True  # False: no further attempt can end differently

    def __init__(self, message: str = "", **details: Any) -> None:
        self.details = details
        self.message = message or self.text.format_map(_Blanks(details))
        super().__init__(self.message)

    def __str__(self) -> str:
        return f"[{self.code}] {self.message}" + (f" {self.hint}" if self.hint else "")

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.message, self.details)


def _rebuild(cls: type[DurableError], message: str, details: dict[str, Any]) -> DurableError:
    return cls(message, **details)


class _Blanks(dict[str, Any]):
    def __missing__(self, key: str) -> str:
        return "?"
