"""The module that the setting DURABLE_DEMO names: what a project wants ``durable demo`` to play."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any, Protocol, cast

from django.conf import settings as django_settings
from django.core.management.base import CommandError

Subject = Mapping[str, Any]


class DemoRun(Protocol):
    """One thing to play; see the example project's ``demo.py`` for the meaning of each."""

    @property
    def title(self) -> str: ...

    @property
    def workflow(self) -> str: ...

    @property
    def start(self) -> Callable[[], Subject]: ...

    @property
    def check(self) -> Callable[[Any, Any], str | None]: ...

    @property
    def answers(self) -> Mapping[str, Callable[[Any], object]]: ...

    @property
    def seconds(self) -> float: ...


class Script(Protocol):
    """The module itself."""

    RUNS: Sequence[DemoRun]

    def prepare(self) -> None: ...


def load_script() -> Script:
    """Return the project's demo.

    Raises:
        CommandError: The project has none, or it cannot be imported.
    """
    path = getattr(django_settings, "DURABLE_DEMO", None)
    if not path:
        raise CommandError(
            "This project has no demo: the setting DURABLE_DEMO is not set. "
            "The example project of durable_django has one."
        )
    try:
        return cast(Script, import_module(path))
    except ImportError as error:
        raise CommandError(
            f"The setting DURABLE_DEMO names {path!r}, which cannot be imported: {error}"
        ) from error
