"""A file that outlives killed processes: one line for each effect that took place outside the database."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


def record(path: Path | str, *fields: Any) -> None:
    """Append the fields as one line, on disk when the call returns; lines of several processes do not mix."""
    line = json.dumps(fields).encode() + b"\n"
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(descriptor, line)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read(path: Path | str) -> list[list[Any]]:
    """Return the lines written so far, oldest first; a file that does not exist has none."""
    if not Path(path).exists():
        return []
    return [json.loads(line) for line in Path(path).read_text().splitlines()]
