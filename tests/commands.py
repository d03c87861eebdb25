"""``manage.py durable`` inside the test's own process."""

from __future__ import annotations

import json
from dataclasses import dataclass
from io import StringIO
from typing import Any

from django.core.management import CommandError, call_command


@dataclass(frozen=True)
class Said:
    """What the command wrote, and the error that ended it."""

    out: str
    err: str
    error: str
    code: int = 0

    @property
    def data(self) -> Any:
        """The document of ``--json``."""
        return json.loads(self.out)


def run_durable(*arguments: str, fails: bool = False) -> Said:
    """Run a verb; ``fails`` says whether it must end with an error."""
    out, err, error, code = StringIO(), StringIO(), "", 0
    try:
        call_command("durable", *arguments, stdout=out, stderr=err, skip_checks=True)
    except CommandError as raised:
        error, code = str(raised), raised.returncode
        assert fails, f"durable {' '.join(arguments)} failed: {error}\n{out.getvalue()}"
    else:
        assert not fails, f"durable {' '.join(arguments)} did not fail:\n{out.getvalue()}"
    return Said(out.getvalue(), err.getvalue(), error, code)
