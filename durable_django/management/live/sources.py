"""Which source files there are and when they were saved, so that ``durable dev`` sees a change.

Files are compared, not imported modules alone: a new ``workflows.py`` counts as well.
"""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from django.apps import apps

SKIPPED = {"node_modules", "__pycache__", ".venv", "venv", ".git"}

Snapshot = dict[Path, int]


def take_snapshot() -> Snapshot:
    """Return each source file of the project with its time of change."""
    found: Snapshot = {}
    for path in _list_files():
        try:
            found[path] = path.stat().st_mtime_ns
        except OSError:  # removed meanwhile, which the next comparison notices
            continue
    return found


def find_changed(before: Snapshot, after: Snapshot) -> list[Path]:
    """Return the files that were saved, added or removed between the two."""
    return sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))


def _list_files() -> set[Path]:
    files = {path for root in _find_roots() for path in _walk(root)}
    for module in list(sys.modules.values()):
        path = getattr(module, "__file__", None)
        if path and path.endswith(".py") and not _is_installed(Path(path)):
            files.add(Path(path))
    return files


def _find_roots() -> list[Path]:
    return [Path(config.path) for config in apps.get_app_configs() if not _is_installed(Path(config.path))]


def _walk(folder: Path) -> Iterator[Path]:
    try:
        entries = list(folder.iterdir())
    except OSError:  # removed meanwhile
        return
    for entry in entries:
        if entry.name in SKIPPED:
            continue
        if entry.suffix == ".py":
            yield entry
        elif entry.is_dir() and not entry.is_symlink():
            yield from _walk(entry)


def _is_installed(path: Path) -> bool:
    return any(path.is_relative_to(folder) for folder in _INSTALLED) or "site-packages" in path.parts


_INSTALLED = {Path(sysconfig.get_path(name)) for name in ("stdlib", "purelib", "platlib")}
