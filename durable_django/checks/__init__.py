"""System checks: what is wrong with the settings, the database and the definitions, and what to do.

In: settings, database aliases, the registry. Out: messages with ids ``durable_django.E…`` (errors) and
``durable_django.W…`` (warnings), listed in ``docs/checks.md``. Each file below checks one subject; this
one registers them. Nothing here is imported by the engine.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.core.checks import CheckMessage, Tags, register

from ..conf import settings
from .cancel import check_cancel_rules
from .database import check_alias, check_router, check_sqlite, check_time_zones
from .definitions import check_expressions, check_workflows_module
from .dispatcher import check_dispatcher, check_inline
from .doors import check_doors
from .hooks import check_hooks
from .keys import check_settings
from .servers import check_servers
from .triggers import check_idempotency, check_model_triggers

TAG = "durable_django"


def check_celery_setup(app_configs: Any = None, **kwargs: Any) -> Sequence[CheckMessage]:
    """Look at Celery's settings if Celery carries the nudges."""
    if settings.DISPATCHER != "celery":
        return []
    from .celery import check_celery

    return check_celery(app_configs, **kwargs)


for _check in (
    check_settings,
    check_hooks,
    check_dispatcher,
    check_inline,
    check_workflows_module,
    check_expressions,
    check_idempotency,
    check_model_triggers,
    check_cancel_rules,
    check_alias,
    check_router,
    check_sqlite,
    check_time_zones,
    check_celery_setup,
):
    register(_check, TAG)
register(check_servers, Tags.database)
register(check_doors, Tags.security, deploy=True)
