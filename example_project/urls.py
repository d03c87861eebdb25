"""Where each app is mounted."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path
from django.views.generic import TemplateView

urlpatterns = [
    path("", TemplateView.as_view(template_name="home.html"), name="home"),
    path("admin/", admin.site.urls),
    path("shop/", include("example_project.shop.urls")),
    path("onboarding/", include("example_project.onboarding.urls")),
    path("csv/", include("example_project.imports.urls")),
    path("", include("durable_django.api.urls")),  # at the root, where Inngest's clients look
]
