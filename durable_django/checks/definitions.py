"""E005 trigger expressions that do not compile, W001 a workflows module that no app has."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.core.checks import CheckMessage, Error
from django.core.checks import Warning as Notice
from django.utils.module_loading import module_has_submodule

from ..conf import settings
from ..define.registry import registry
from ..define.triggers import Trigger
from ..define.workflow import Workflow
from ..engine.expressions import compile_expression
from ..exceptions import InvalidExpression


def check_expressions(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """Report each ``if_exp`` that would never start its workflow."""
    return [
        message
        for workflow in registry
        for trigger in workflow.triggers
        for message in _check_trigger(workflow, trigger)
    ]


def _check_trigger(workflow: Workflow[Any, Any], trigger: Trigger) -> list[CheckMessage]:
    if trigger.if_exp is None:
        return []
    try:
        compile_expression(trigger.if_exp, allow_async=False, condition=True)
    except InvalidExpression as error:
        return [
            Error(
                f"Workflow {workflow.id!r}, trigger {trigger.event!r}: {error.message}",
                hint="Mend if_exp; until then these events do not start the workflow.",
                obj=workflow.where,
                id="durable_django.E005",
            )
        ]
    return []


def check_workflows_module(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """Report a WORKFLOWS_MODULE that the project chose and no installed app contains."""
    name = settings.given().get("WORKFLOWS_MODULE")
    if not isinstance(name, str) or any(_has_module(app.module, name) for app in apps.get_app_configs()):
        return []
    return [
        Notice(
            f"No installed app has a module {name!r}, so no workflow was loaded from one.",
            hint="Mend DURABLE_DJANGO['WORKFLOWS_MODULE'], or set it to None to import workflows yourself.",
            id="durable_django.W001",
        )
    ]


def _has_module(package: Any, name: str) -> bool:
    try:
        return module_has_submodule(package, name)
    except ModuleNotFoundError:  # a dotted name whose first part is missing
        return False
