from __future__ import annotations

from importlib.util import find_spec

from django.contrib import admin
from django.urls import include, path

urlpatterns = [path("admin/", admin.site.urls)]
if find_spec("durable_django.api") and find_spec("durable_django.api.urls"):
    urlpatterns.append(path("durable/", include("durable_django.api.urls")))
