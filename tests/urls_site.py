"""Two sites: the stock one, and one of the project's own with some models, on subclasses."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.urls import path

from durable_django.admin import AuditEntryAdmin, RunAdmin, WorkflowAdmin
from durable_django.models import AuditEntry, Run, WorkflowState


class OurRunAdmin(RunAdmin):
    """A project's own columns, actions and templates come by subclassing."""

    list_per_page = 7
    list_display = (*RunAdmin.list_display, "shout")

    def shout(self, run: Any) -> str:
        """Show the workflow, loud."""
        return str(run.workflow).upper()


class OurSite(admin.AdminSite):
    """A site under another name."""

    site_header = "Ours"


site = OurSite(name="ops")
site.register(Run, RunAdmin)
site.unregister(Run)
site.register(Run, OurRunAdmin)
site.register(WorkflowState, WorkflowAdmin)
site.register(AuditEntry, AuditEntryAdmin)

urlpatterns = [path("admin/", admin.site.urls), path("ops/", site.urls)]
