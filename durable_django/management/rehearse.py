"""Carry out a change to see what it would do, and take it back."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Callable
from typing import Any

from django.db import transaction


class _TakenBack(Exception):
    def __init__(self, result: Any) -> None:
        super().__init__()
        self.result = result


def add_dry_run(parser: ArgumentParser) -> None:
    """Add ``--dry-run``."""
    parser.add_argument("--dry-run", action="store_true", help="tell what would be done, and do nothing")


def carry_out(using: str, act: Callable[[], Any], *, dry_run: bool) -> Any:
    """Return what ``act`` returns; with ``dry_run`` all that it changed is rolled back.

    What waits for the commit, such as telling workers, does not happen then.
    """
    if not dry_run:
        return act()
    try:
        with transaction.atomic(using=using):
            raise _TakenBack(act())
    except _TakenBack as taken:
        return taken.result
