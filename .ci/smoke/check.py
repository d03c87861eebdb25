"""Use the installed wheel as a new project would: migrate, run a workflow to its end, open the admin."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import django
from django.core.management import call_command


def main() -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
    django.setup()
    check_origin()
    call_command("check")
    call_command("migrate", verbosity=0)
    run_workflow()
    open_admin()


def check_origin() -> None:
    import durable_django

    folder = Path(durable_django.__file__).parent
    if not folder.is_relative_to(sys.prefix):
        sys.exit(f"durable_django comes from {folder}, not from the wheel")
    if not (folder / "py.typed").exists():
        sys.exit("the wheel has no py.typed")


def run_workflow() -> None:
    from hello.workflows import hello

    result = hello.start(data={}).result(timeout=10)
    if result != {"sum": 2}:
        sys.exit(f"the workflow returned {result!r}")
    print("workflow: ok")


def open_admin() -> None:
    from django.contrib import admin
    from django.contrib.auth import get_user_model
    from django.test import Client
    from django.urls import reverse

    client = Client()
    client.force_login(get_user_model().objects.create_superuser("admin", "", "password"))
    models = [model for model in admin.site._registry if model._meta.app_label == "durable_django"]
    if not models:
        sys.exit("no model of durable_django is in the admin")
    for model in models:
        url = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
        status = client.get(url).status_code
        if status != 200:
            sys.exit(f"{url} answers {status}")
    print(f"admin: {len(models)} lists ok")


main()
