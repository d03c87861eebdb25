"""The WSGI application for the work ``ingest``."""

from __future__ import annotations

from benchmarks.setup import configure_child

configure_child()

from django.core.wsgi import get_wsgi_application  # noqa: E402  after the settings

application = get_wsgi_application()
