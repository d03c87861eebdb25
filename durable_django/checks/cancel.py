"""E019 cancel rules whose condition does not compile, so that they would never cancel a run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.core.checks import CheckMessage, Error

from ..define.cancel import Cancel
from ..define.registry import registry
from ..define.workflow import Workflow
from ..engine.expressions import compile_expression
from ..engine.match import bind_path
from ..exceptions import DurableError, InvalidExpression


def check_cancel_rules(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """Report each ``Cancel`` with a condition that cannot be decided."""
    return [
        message
        for workflow in registry
        for rule in workflow.cancel_on
        for message in _check_rule(workflow, rule)
    ]


def _check_rule(workflow: Workflow[Any, Any], rule: Cancel) -> Iterator[CheckMessage]:
    try:
        _compile(rule)
    except InvalidExpression as error:
        yield Error(
            f"Workflow {workflow.id!r}, Cancel({rule.event!r}): {error.message}",
            hint="Mend the condition; until then the event cancels nothing.",
            obj=workflow.where,
            id="durable_django.E019",
        )


def _compile(rule: Cancel) -> None:
    if rule.if_exp is not None:
        compile_expression(rule.if_exp, allow_async=True, condition=True)
    elif rule.match is not None:
        try:
            bind_path(rule.event, rule.match, {"name": "", "data": {}}, step="cancel_on")
        except InvalidExpression:
            raise
        except DurableError:
            return  # only the field is missing, in an event that is made up
