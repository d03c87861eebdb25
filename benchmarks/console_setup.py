"""Django as the console's work uses it: the admin, its sessions, and workflows by name only."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit, urlunsplit

import django
import environ
from django.conf import settings

from benchmarks.scratch import server_url

NAME = "durable_benchmark_console"
WORKFLOWS = [
    f"{verb}-{what}"
    for verb in ("ship", "pack", "bill", "check", "import")
    for what in ("order", "return", "parcel", "voucher", "account", "invoice", "stock", "mail")
]


def database_url() -> str:
    """Return the URL of the database that ``seed`` fills."""
    return urlunsplit(urlsplit(server_url())._replace(path=f"/{NAME}"))


def configure_console(url: str) -> None:
    """Configure Django with the admin on the database at ``url``, and know the workflows."""
    apps = ("admin", "auth", "contenttypes", "sessions", "messages", "staticfiles")
    settings.configure(
        DATABASES={"default": environ.Env.db_url_config(url)},
        INSTALLED_APPS=[*(f"django.contrib.{name}" for name in apps), "durable_django"],
        MIDDLEWARE=[
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.middleware.common.CommonMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "django.contrib.messages.middleware.MessageMiddleware",
        ],
        TEMPLATES=[_templates()],
        ROOT_URLCONF="benchmarks.console_urls",
        ALLOWED_HOSTS=["*"],
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        STATIC_URL="static/",
        SECRET_KEY="benchmark",
        USE_TZ=True,
        LOGGING_CONFIG=None,
        DURABLE_DJANGO={"DISPATCHER": "benchmarks.console_setup.Nobody", "WORKFLOWS_MODULE": None},
    )
    django.setup()
    _register()


class Nobody:
    """A dispatcher that tells no worker."""

    def nudge(self, nudges: Any) -> None:
        """Lose the nudges."""


def _templates() -> dict[str, Any]:
    processors = (
        "django.template.context_processors.request",
        "django.contrib.auth.context_processors.auth",
        "django.contrib.messages.context_processors.messages",
    )
    return {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {"context_processors": list(processors)},
    }


def _register() -> None:
    from durable_django import workflow

    for name in WORKFLOWS:
        workflow(id=name, trigger="shop/order.placed")(_do_nothing)


def _do_nothing(ctx: Any) -> None:
    """Stand for the code of a workflow."""
