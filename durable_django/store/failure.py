"""Write the failure of a step together with its last attempt."""

from __future__ import annotations

from .base import RUN, AttemptWrite, StepWrite, adapt_id, is_postgres, writing
from .checkpoint import read_step, write_steps
from .park import attempt_params, attempt_sql
from .retrying import repeatable

Stored = tuple[str, str | None, str | None]


@repeatable
def write_failure(using: str, step: StepWrite, attempt: AttemptWrite) -> Stored | None:
    """Store both and return the (status, output, error) that stands then, or None if the lease is lost."""
    with writing(using) as handle:
        if write_steps(using, [step])[0] or write_steps(using, [step], held=True)[0]:
            vendor = "postgresql" if is_postgres(using) else "sqlite"
            handle.execute(
                f"{attempt_sql(vendor)} FROM {RUN} WHERE id = %s",
                [*attempt_params(attempt, step.token), adapt_id(using, step.run_id)],
            )
            return step.status, step.output, step.error
    owned, stored = read_step(using, step.run_id, step.token, step.name, step.index)
    return stored if owned else None
