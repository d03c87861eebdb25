from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest

from example_project.onboarding.models import EmailLog


@admin.register(EmailLog)
class EmailLogAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs only
    list_display = ["user", "kind", "sent_at"]
    list_filter = ["kind"]
    list_select_related = ["user"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False
