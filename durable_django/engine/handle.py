"""The handle of a run: its status and, in time, its result."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any
from uuid import UUID

from asgiref.sync import sync_to_async

from ..exceptions import ResultTimeout, RunCancelled, RunFailed, RunNotFound
from ..models import Run, RunResult, RunStatus
from ..models.run import ENDED
from .alias import get_alias
from .codec import decode
from .nudge import get_dispatcher
from .seal import unseal_result

FIRST_PAUSE, LONGEST_PAUSE = 0.002, 0.25


class RunHandle:
    """Refers to a run by id; reading it asks the database each time."""

    def __init__(self, id: UUID | str, *, using: str | None = None) -> None:
        self._id = id if isinstance(id, UUID) else UUID(id)
        self._using = using or get_alias()

    def __repr__(self) -> str:
        return f"<RunHandle {self.id}>"

    @property
    def id(self) -> str:
        """The run's id."""
        return str(self._id)

    @property
    def status(self) -> str:
        """The run's status now.

        Raises:
            RunNotFound: It was pruned, or its start was rolled back.
        """
        return str(self._read()[0])

    def result(self, timeout: float | None = None) -> Any:
        """Wait for the end and return the output.

        Args:
            timeout: Seconds to wait; None waits for ever.

        Raises:
            RunFailed, RunCancelled: It ended so.
            ResultTimeout: It did not end in time; it goes on.
            RunNotFound: It is not stored.
        """
        deadline = _read_deadline(timeout)
        pause = FIRST_PAUSE
        while True:
            ended, value = self._look(deadline, timeout)
            if ended:
                return value
            if not self._work():
                time.sleep(pause)
            pause = min(pause * 1.5, LONGEST_PAUSE)

    async def aresult(self, timeout: float | None = None) -> Any:  # noqa: ASYNC109  result()'s name
        """Wait for the end from async code; see ``result``."""
        deadline = _read_deadline(timeout)
        pause = FIRST_PAUSE
        while True:
            ended, value = await sync_to_async(self._look)(deadline, timeout)
            if ended:
                return value
            if not await sync_to_async(self._work)():
                await asyncio.sleep(pause)
            pause = min(pause * 1.5, LONGEST_PAUSE)

    def _look(self, deadline: float | None, timeout: float | None) -> tuple[bool, Any]:
        status, reason, workflow = self._read()
        stored = self._read_result() if status in ENDED else None
        if stored is not None:
            return True, self._open_result(status, reason, workflow, stored)
        if deadline is not None and time.monotonic() >= deadline:
            raise ResultTimeout(id=self.id, status=status, timeout=timeout)
        return False, None

    def _work(self) -> bool:
        work = getattr(get_dispatcher(), "work_while_waiting", None)
        return work is not None and bool(work(self._using))

    def _read(self) -> tuple[str, str, str]:
        runs = Run.objects.using(self._using).filter(id=self._id)
        found = runs.values_list("status", "reason", "workflow").first()
        if found is None:
            raise RunNotFound(id=self.id)
        return found

    def _read_result(self) -> RunResult | None:
        # None: an operator has just let the run go on.
        return RunResult.objects.using(self._using).filter(run_id=self._id).first()

    def _open_result(self, status: str, reason: str, workflow: str, stored: RunResult) -> Any:
        if status == RunStatus.CANCELLED:
            raise RunCancelled(id=self.id, reason=reason)
        if status == RunStatus.FAILED:
            error = json.loads(stored.error or "{}")
            raise RunFailed(id=self.id, error=f"{error.get('name')}: {error.get('message')}", told=error)
        return decode(unseal_result(self.id, workflow, stored.output or "null"))


def _read_deadline(timeout: float | None) -> float | None:
    return None if timeout is None else time.monotonic() + timeout
