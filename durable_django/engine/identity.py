"""The name under which this process owns runs."""

from __future__ import annotations

import functools
import os
import socket


def get_owner() -> str:
    """Return host and process id; a forked child gets a name of its own."""
    return f"{_get_host()}:{os.getpid()}"


@functools.cache
def _get_host() -> str:
    return socket.gethostname()[:80]
