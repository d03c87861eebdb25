"""How a verb fails: one sentence and an exit code, no traceback."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from django.core.management.base import CommandError
from django.db import DatabaseError, InterfaceError
from django.utils.connection import ConnectionDoesNotExist

from ..exceptions import DurableError

INTERRUPTED = 130
"""The exit code of a process that Ctrl-C ended, as shells count it."""


@contextmanager
def saying_what_failed() -> Iterator[None]:
    """Turn expected errors into CommandError, Ctrl-C and a closed pipe into a quiet end."""
    try:
        yield
    except DurableError as error:
        raise CommandError(str(error)) from error
    except (DatabaseError, InterfaceError, ConnectionDoesNotExist) as error:
        raise CommandError(
            f"The database cannot be used: {str(error).strip()} "
            "Is it migrated? `manage.py durable doctor` tells more."
        ) from error
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None
    except BrokenPipeError:
        # The reader, such as `head`, has seen enough; Python must not flush into the closed pipe at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None
