"""Every program of the table, for the worker process that serves them."""

from __future__ import annotations

from tests.conformance.table import CASES

for _case in CASES.values():
    if "celery" in _case.engines:
        for _kind in _case.kinds:
            _case.declare(_kind)
