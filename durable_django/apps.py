"""The Django app: names it, finds the project's workflows, registers the checks."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules
from django.utils.translation import gettext_lazy as _


class DurableDjangoConfig(AppConfig):
    """Loads ``workflows.py`` of each installed app and connects the receivers."""

    name = "durable_django"
    label = "durable_django"
    verbose_name = _("Durable workflows")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from . import checks  # noqa: F401  registers itself
        from .conf import settings
        from .engine.model_changes import watch_models

        if settings.WORKFLOWS_MODULE:
            autodiscover_modules(settings.WORKFLOWS_MODULE)
        watch_models()
