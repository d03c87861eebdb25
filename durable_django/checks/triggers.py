"""E015 idempotency keys that do not compile; E016 to E018 model triggers that would never fire."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.core.checks import CheckMessage, Error
from django.db import router
from django.db.models import Model

from ..define.model_change import ModelChange
from ..define.registry import registry
from ..define.workflow import Workflow
from ..engine.alias import get_alias
from ..engine.expressions import compile_expression
from ..engine.snapshot import find_field
from ..exceptions import InvalidExpression


def check_idempotency(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """Report each ``idempotency`` that would keep its workflow from ever starting."""
    return [message for workflow in registry for message in _check_key(workflow)]


def _check_key(workflow: Workflow[Any, Any]) -> Iterator[CheckMessage]:
    if workflow.idempotency is None:
        return
    try:
        compile_expression(workflow.idempotency, allow_async=False)
    except InvalidExpression as error:
        yield Error(
            f"Workflow {workflow.id!r}, idempotency: {error.message}",
            hint="Mend the expression; until then no event starts the workflow.",
            obj=workflow.where,
            id="durable_django.E015",
        )


def check_model_triggers(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """Report each ModelChange of a model, a field or a database that the engine cannot watch."""
    return [
        message
        for workflow in registry
        for trigger in workflow.triggers
        if isinstance(trigger, ModelChange)
        for message in _check_trigger(workflow, trigger)
    ]


def _check_trigger(workflow: Workflow[Any, Any], trigger: ModelChange) -> Iterator[CheckMessage]:
    try:
        model = apps.get_model(trigger.label)
    except LookupError:
        yield Error(
            f"Workflow {workflow.id!r}, ModelChange: no installed app has the model {trigger.label!r}.",
            hint="Write it as 'app_label.Model', and see that the app is in INSTALLED_APPS.",
            obj=workflow.where,
            id="durable_django.E016",
        )
        return
    yield from _check_fields(workflow, trigger, model)
    yield from _check_database(workflow, model)


def _check_fields(
    workflow: Workflow[Any, Any], trigger: ModelChange, model: type[Model]
) -> Iterator[CheckMessage]:
    for name in trigger.fields:
        if find_field(model, name) is None:
            yield Error(
                f"Workflow {workflow.id!r}, ModelChange: {model._meta.label} has no column for {name!r}.",
                hint="Only fields with a column of their own can be watched; a many-to-many field has none.",
                obj=workflow.where,
                id="durable_django.E017",
            )


def _check_database(workflow: Workflow[Any, Any], model: type[Model]) -> Iterator[CheckMessage]:
    own, durable = router.db_for_write(model), get_alias()
    if own != durable:
        yield Error(
            f"Workflow {workflow.id!r}, ModelChange: {model._meta.label} is written to the database {own!r}, "
            f"the durable tables are in {durable!r}, so a change and its event cannot be one transaction.",
            hint="Send an event of your own with transaction.on_commit, or put both into one database.",
            obj=workflow.where,
            id="durable_django.E018",
        )
