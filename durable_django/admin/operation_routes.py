"""The addresses of the actions on one run."""

from __future__ import annotations

from typing import Any, Final

from django.contrib.admin import ModelAdmin
from django.urls import URLPattern

from .asking import route
from .operation import Operation
from .rerun_operations import Rerun, RerunFrom
from .run_operations import Cancel, Retry
from .wake_operation import Wake

RUN_OPERATIONS: Final[dict[str, type[Operation]]] = {
    "cancel": Cancel,
    "retry": Retry,
    "wake": Wake,
    "rerun": Rerun,
    "rerun-from": RerunFrom,
}


def list_run_operations(page: ModelAdmin[Any]) -> list[URLPattern]:
    """Return the routes of the actions on a run."""
    return [
        route(page, f"<uuid:key>/{verb}/", made, f"run_{verb.replace('-', '_')}")
        for verb, made in RUN_OPERATIONS.items()
    ]
