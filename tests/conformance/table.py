"""The whole table."""

from __future__ import annotations

import importlib

from tests.conformance.case import CASES

for _name in "writing steps invoke groups waits matching errors values handlers options beyond".split():
    importlib.import_module(f"tests.conformance.cases_{_name}")

__all__ = ["CASES"]
