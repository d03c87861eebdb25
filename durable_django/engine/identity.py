"""The name under which this process owns runs.

Note [A child carries the name of its worker]
    Who reports itself is the main process of a worker; what executes runs may be a child of it. So a child owns runs
    as ``host:pid+child``, and what is before the plus is the worker that the screens list.
"""

from __future__ import annotations

import functools
import os
import socket

from django.db.models import Q

_parents: dict[int, int] = {}


def get_owner() -> str:
    """Return host and process id, and for a child of a worker those of the worker with the child's behind them."""
    pid = os.getpid()
    parent = _parents.get(pid)
    return f"{_get_host()}:{pid}" if parent is None else f"{_get_host()}:{parent}+{pid}"


def join_worker(parent: int) -> None:
    """Note that this process is a child of the worker with that process id."""
    if parent != os.getpid():
        _parents[os.getpid()] = parent


def find_worker(owner: str) -> str:
    """Return the name of the worker that an owner of runs is, or is a child of."""
    return owner.partition("+")[0]


def owned_by(worker: str) -> Q:
    """Return the condition that a worker or a child of it owns a run."""
    return Q(owner=worker) | Q(owner__startswith=f"{worker}+")


@functools.cache
def _get_host() -> str:
    return socket.gethostname()[:80]
