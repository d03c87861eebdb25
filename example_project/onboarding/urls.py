from __future__ import annotations

from django.urls import path

from example_project.onboarding import views

app_name = "onboarding"
urlpatterns = [
    path("", views.register, name="register"),
    path("activate/<str:token>/", views.activate, name="activate"),
]
