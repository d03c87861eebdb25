"""What a user may do to runs and see of them."""

from __future__ import annotations

from typing import Any

from django.db.models import Model
from django.http import HttpRequest


def may(request: HttpRequest, verb: str) -> bool:
    """Tell whether the user may do this to runs: cancel, retry, rerun, delete."""
    return bool(request.user.has_perm(f"durable_django.{verb}_run"))


def may_do(request: HttpRequest, permission: str) -> bool:
    """Tell whether the user has a permission of the app, by its codename."""
    return bool(request.user.has_perm(f"durable_django.{permission}"))


def may_see_payloads(request: HttpRequest) -> bool:
    """Tell whether the user may see what events, steps and runs carry."""
    return bool(request.user.has_perm("durable_django.view_payload"))


def may_view(request: HttpRequest, model: type[Model]) -> bool:
    """Tell whether the user may view rows of the model."""
    meta: Any = model._meta
    return bool(request.user.has_perm(f"{meta.app_label}.view_{meta.model_name}"))
