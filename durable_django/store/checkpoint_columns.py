"""What both databases say when they store a step; see Note [A checkpoint is written once]."""

from __future__ import annotations

from .base import STEP

COLUMNS = 'run_id, name, "index", kind, status, output, error, attempt, token, ready_at, started_at, ended_at'
REPLACE = (
    'ON CONFLICT (run_id, name, "index") DO UPDATE SET status = EXCLUDED.status, output = EXCLUDED.output, '
    "error = EXCLUDED.error, attempt = EXCLUDED.attempt, token = EXCLUDED.token, "
    "ready_at = EXCLUDED.ready_at, ended_at = EXCLUDED.ended_at "
    f"WHERE {STEP}.status = 'retrying'"
)
