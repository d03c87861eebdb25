"""The WSGI application for the work ``watchers``: the admin on the database that DURABLE_BENCHMARK names."""

from __future__ import annotations

import json
import os

from benchmarks.console_setup import configure_console
from benchmarks.setup import VARIABLE

configure_console(json.loads(os.environ[VARIABLE])["url"])

from django.core.wsgi import get_wsgi_application  # noqa: E402  after the settings

application = get_wsgi_application()
