"""The API at the root, for a WSGI server: ``gunicorn tests.wsgi:application``."""

from __future__ import annotations

import os

from django.conf import settings
from django.core.wsgi import get_wsgi_application

settings.ROOT_URLCONF = os.environ.get("TEST_URLS", "tests.urls_root")
application = get_wsgi_application()
