"""How often an operator lets failed work try again, if not as often as the code declares.

Note [Attempts that are given count down from the declared ones]
    The engine decides by the declared number and by the attempts that failed. So N more attempts are stored as
    all but N failed ones, which costs the hot path nothing; more than declared cannot be given. The declared
    number is known where the failure is decided and is kept with the error.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from ..exceptions import InvalidAttempts
from ..models import Run, RunResult, Step, StepStatus


@dataclass(frozen=True, slots=True)
class Limit:
    """What failed a run: a step, or code between steps (empty ``step``), and how often it is tried at most.

    ``steps`` is how many steps the code had taken, by which the engine tells one piece of code from the next.
    """

    attempts: int
    step: str = ""
    index: int = 0
    steps: int = 0


def find_limit(using: str, run: Run) -> Limit | None:
    """Return the limit of what failed the run, or None if no attempt of its own did."""
    results = RunResult.objects.using(using).filter(run_id=run.id)
    told = _read(results.values_list("error", flat=True).first())
    if not told.get("step"):
        return Limit(told["limit"], steps=told.get("steps", 0)) if told.get("limit") else None
    name, index = told["step"], told.get("index", 0)
    steps = Step.objects.using(using).filter(run_id=run.id, name=name, index=index, status=StepStatus.FAILED)
    limit = _read(steps.values_list("error", flat=True).first()).get("limit")
    return Limit(limit, name, index) if limit else None


def check_attempts(run: Run, limit: Limit | None, attempts: int) -> Limit:
    """Return the limit if so many attempts can be given.

    Raises:
        InvalidAttempts: They cannot.
    """
    if limit is None:
        raise InvalidAttempts(
            attempts=attempts, reason=f"no attempt of a step or of code failed run {run.id}"
        )
    if isinstance(attempts, bool) or not 1 <= attempts <= limit.attempts:
        what = f"step {limit.step!r}" if limit.step else "the code between steps"
        raise InvalidAttempts(attempts=attempts, reason=f"{what} declares {limit.attempts} attempts")
    return limit


def give_attempts(using: str, run: Run, limit: Limit, attempts: int) -> None:
    """Let what failed be tried so often, in the transaction that has reopened the run."""
    spent = limit.attempts - attempts
    if limit.step:
        steps = Step.objects.using(using).filter(run_id=run.id, name=limit.step, index=limit.index)
        steps.filter(status=StepStatus.RETRYING).update(attempt=spent)
        return
    Run.objects.using(using).filter(id=run.id).update(attempt=spent, attempt_steps=limit.steps)


def _read(text: str | None) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(text or "{}")
    return told
