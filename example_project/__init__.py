"""A Django project with three small apps that use durable_django; copy from it freely.

``shop`` fulfils orders, ``onboarding`` writes to new users over several days, ``imports`` loads a CSV
file in parallel chunks. Every setting comes from the environment; see ``.env.example``.
"""

from __future__ import annotations

from example_project.celery import app as celery_app

__all__ = ["celery_app"]
