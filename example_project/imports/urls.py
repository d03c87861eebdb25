from __future__ import annotations

from django.urls import path

from example_project.imports import views

app_name = "imports"
urlpatterns = [
    path("", views.list_imports, name="list"),
    path("<int:pk>/", views.show_import, name="detail"),
]
