"""Errors of the set-up: settings, definitions, the registry."""

from __future__ import annotations

from .base import DurableError


class InvalidSetting(DurableError):
    """A key or a value in the ``DURABLE_DJANGO`` setting is not usable."""

    code = "setting_invalid"
    text = "DURABLE_DJANGO[{key!r}] is {value!r}: {reason}."
    hint = "Run `manage.py check` for the list of known keys."


class InvalidDefinition(DurableError):
    """A ``@workflow``, ``@step`` or trigger was declared with arguments that cannot work."""

    code = "definition_invalid"
    text = "{where}: {reason}."


class DuplicateWorkflow(DurableError):
    """Two functions were registered under one workflow id."""

    code = "workflow_duplicate"
    text = "The workflow id {id!r} is declared twice: in {first} and in {second}."
    hint = "Give one of them another id; running workflows are found by it."


class UnknownWorkflow(DurableError):
    """A workflow id was asked for that no imported module declares."""

    code = "workflow_unknown"
    text = "No workflow is registered as {id!r}.{near}"
    hint = "Is its module named `workflows.py` inside an installed app?"
