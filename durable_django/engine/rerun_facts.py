"""What an operator should know before a rerun: who has the key now, and how the steps of the code have changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ..models import Run, RunStatus, Step

NAMES: Final = 500
"""Steps of a run that are compared; of longer runs, the first ones."""
LOOKED: Final = 200
"""Runs among which one of the code of now is looked for, the newest first."""


@dataclass(frozen=True, slots=True)
class StepChanges:
    """Names of steps that runs of the code of now have and the old run lacks, and the other way round."""

    new: list[str]
    gone: list[str]


def find_key_holder(using: str, run: Run) -> Run | None:
    """Return a run of the workflow that has not ended and has the same key, the run itself included."""
    if not run.key:
        return None
    # The key has an index, which the second condition lets serve; that of the workflow is long.
    runs = Run.objects.using(using).filter(key=run.key, key__gt="", workflow=run.workflow)
    return runs.filter(wake_at__isnull=False).order_by("id").first()


def compare_steps(using: str, run: Run, version: str) -> StepChanges | None:
    """Compare the steps of a run with those of the newest completed one of a version; None if there is none."""
    ids = list(
        Run.objects.using(using).filter(workflow=run.workflow).order_by("-id").values_list("id")[:LOOKED]
    )
    newest = Run.objects.using(using).filter(id__in=[each[0] for each in ids])
    other = (
        newest.filter(status=RunStatus.COMPLETED, version=version).exclude(id=run.id).order_by("-id").first()
    )
    if other is None:
        return None
    old, now = _list_names(using, run), _list_names(using, other)
    return StepChanges([name for name in now if name not in old], [name for name in old if name not in now])


def _list_names(using: str, run: Run) -> list[str]:
    names = Step.objects.using(using).filter(run_id=run.id).order_by("id").values_list("name", flat=True)
    return list(dict.fromkeys(names[:NAMES]))
