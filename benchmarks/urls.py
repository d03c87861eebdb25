"""The event API for the work ``ingest``."""

from __future__ import annotations

from django.urls import include, path

urlpatterns = [path("", include("durable_django.api.urls"))]
