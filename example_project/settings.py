"""Settings of the example project, all from the environment; ``.env.example`` lists the variables.

A variable may also be given as a file: ``SECRET_KEY_FILE=/run/secrets/key`` is read for ``SECRET_KEY``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured

from example_project.brokers import transport_options

BASE_DIR = Path(__file__).resolve().parent.parent

env = environ.FileAwareEnv()
env.read_env(
    BASE_DIR / "example_project" / ".env"
)  # does nothing if there is no such file; real variables win

DEBUG: bool = env.bool("DEBUG", default=True)
SECRET_KEY: str = env.str("SECRET_KEY", default="")
if DEBUG and not SECRET_KEY:
    SECRET_KEY = "django-insecure-for-development-only"  # noqa: S105 - never used in production
if not SECRET_KEY:
    raise ImproperlyConfigured("SECRET_KEY is not set, and DEBUG is off. Set it to 50 random characters.")
ALLOWED_HOSTS: list[str] = env.list("ALLOWED_HOSTS", default=[])
CSRF_TRUSTED_ORIGINS: list[str] = env.list("CSRF_TRUSTED_ORIGINS", default=[])

# --- HTTPS: safe as soon as DEBUG is off ----------------------------------------------------------
SECURE_SSL_REDIRECT: bool = env.bool("SECURE_SSL_REDIRECT", default=not DEBUG)
SECURE_HSTS_SECONDS: int = env.int("SECURE_HSTS_SECONDS", default=0 if DEBUG else 3600)
SECURE_HSTS_INCLUDE_SUBDOMAINS: bool = env.bool("SECURE_HSTS_INCLUDE_SUBDOMAINS", default=not DEBUG)
SECURE_HSTS_PRELOAD: bool = env.bool("SECURE_HSTS_PRELOAD", default=not DEBUG)
SESSION_COOKIE_SECURE: bool = env.bool("SESSION_COOKIE_SECURE", default=not DEBUG)
CSRF_COOKIE_SECURE: bool = env.bool("CSRF_COOKIE_SECURE", default=not DEBUG)
# Only for a proxy that sets this header itself and strips it from what clients send.
if env.bool("BEHIND_TLS_PROXY", default=False):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "durable_django",
    "example_project.shop",
    "example_project.onboarding",
    "example_project.imports",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "example_project.urls"
WSGI_APPLICATION = "example_project.wsgi.application"
ASGI_APPLICATION = "example_project.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "example_project" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]

# --- database -------------------------------------------------------------------------------------
DATABASES: dict[str, dict[str, Any]] = {
    "default": env.db_url("DATABASE_URL", default=f"sqlite:///{BASE_DIR / 'db.sqlite3'}"),
}
if "sqlite" in DATABASES["default"]["ENGINE"]:
    # IMMEDIATE: writers queue up instead of failing half-way; FULL: a commit survives a power cut; 16 MB of
    # cache: the 2 MB of SQLite's own are less than what one commit of many runs touches.
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,  # seconds
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-16000;",
    }
else:
    DATABASES["default"]["CONN_MAX_AGE"] = env.int("CONN_MAX_AGE", default=60)  # seconds
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- language, time, files, mail, log -------------------------------------------------------------
LANGUAGE_CODE: str = env.str("LANGUAGE_CODE", default="en")
TIME_ZONE: str = env.str("TIME_ZONE", default="UTC")
USE_TZ = True
STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STATICFILES_DIRS = [BASE_DIR / "example_project" / "static"]
EMAIL_CONFIG = env.email_url("EMAIL_URL", default="consolemail://")
vars().update(EMAIL_CONFIG)
EMAIL_TIMEOUT: int = env.int(
    "EMAIL_TIMEOUT", default=10
)  # seconds; a mute mail server must not hold a worker
DEFAULT_FROM_EMAIL: str = env.str("DEFAULT_FROM_EMAIL", default="shop@example.com")
SITE_URL: str = env.str("SITE_URL", default="http://localhost:8000")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": env.str("LOG_LEVEL", default="INFO")},
}

# --- durable_django -------------------------------------------------------------------------------
CELERY_BROKER_URL: str = env.str("CELERY_BROKER_URL", default="")
DURABLE_DJANGO = {
    "DISPATCHER": "celery" if CELERY_BROKER_URL else "local",
    "LEASE_SECONDS": env.float("DURABLE_LEASE_SECONDS", default=30.0),
    "TICK_SECONDS": env.float("DURABLE_TICK_SECONDS", default=1.0),
    "WORKER_THREADS": env.int("DURABLE_WORKER_THREADS", default=16),
    "RETENTION_DAYS": env.int("DURABLE_RETENTION_DAYS", default=30),
}
DURABLE_DEMO = "example_project.demo"

# --- Celery: messages are nudges, the rows are the truth ------------------------------------------
CELERY_TASK_ACKS_LATE = False  # leases and the sweep recover sooner than a redelivery
CELERY_TASK_ACKS_ON_TIMEOUT = True
CELERY_TASK_REJECT_ON_WORKER_LOST = False
CELERY_TASK_RETRY_ON_WORKER_LOST = False
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_PUBLISH_RETRY = False  # a lost nudge is sent again by the sweep
CELERY_BROKER_CONNECTION_TIMEOUT = 2  # seconds
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = transport_options(CELERY_BROKER_URL)
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = False
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = env.float("CELERY_SOFT_SHUTDOWN_SECONDS", default=10.0)
CELERY_WORKER_MAX_TASKS_PER_CHILD = env.int("CELERY_MAX_TASKS_PER_CHILD", default=1_000)
CELERY_WORKER_MAX_MEMORY_PER_CHILD = env.int("CELERY_MAX_MEMORY_KB_PER_CHILD", default=512_000)

# --- the example apps -----------------------------------------------------------------------------
SHOP_COOLING_OFF: str = env.str("SHOP_COOLING_OFF", default="1h")
SHOP_APPROVAL_TIMEOUT: str = env.str("SHOP_APPROVAL_TIMEOUT", default="3 days")
SHOP_PAYMENT_TIMEOUT: str = env.str("SHOP_PAYMENT_TIMEOUT", default="24h")
SHOP_APPROVAL_FROM: int = env.int("SHOP_APPROVAL_FROM", default=1_000)  # order total
ONBOARDING_PAUSE: str = env.str("ONBOARDING_PAUSE", default="1 day")
ONBOARDING_PATIENCE: str = env.str("ONBOARDING_PATIENCE", default="3 days")
IMPORTS_DIR = BASE_DIR / "example_project" / "imports" / "data"
IMPORTS_CHUNK_ROWS: int = env.int("IMPORTS_CHUNK_ROWS", default=500)
