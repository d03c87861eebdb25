from __future__ import annotations

from django.urls import include, path

urlpatterns = [path("", include("durable_django.contrib.openapi"))]
