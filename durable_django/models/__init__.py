"""The store: schema, constraints and indexes.

In: nothing but Django. Out: the models below. Rows that change often (Run) are narrow; payloads live in
Event (written once) and RunResult. Statements of the hot path are in ``durable_django.store``.

Note [No foreign key constraints on the hot path]
    A checkpoint inserts its step from a join with the run it belongs to, under a share lock, so the run
    exists by construction; a constraint would look it up a second time. Deleting goes through ``prune``
    or the admin, which take the children along; ``check_data`` finds orphans.
"""

from .access import AccessKey, WebhookDelivery
from .audit import AuditEntry
from .bulk import BulkOperation, BulkState
from .event import Event
from .rollup import Rollup
from .run import Run, RunResult, RunStatus
from .schedule import Schedule
from .step import Attempt, Step, StepKind, StepStatus
from .subject import RunSubject
from .view import SavedView
from .wait import PathSet, Wait, WaitKey, WaitStatus
from .worker import Worker
from .workflow import PauseNew, PauseRunning, WorkflowState

__all__ = [
    "AccessKey",
    "Attempt",
    "AuditEntry",
    "BulkOperation",
    "BulkState",
    "Event",
    "PathSet",
    "PauseNew",
    "PauseRunning",
    "Rollup",
    "Run",
    "RunResult",
    "RunStatus",
    "RunSubject",
    "SavedView",
    "Schedule",
    "Step",
    "StepKind",
    "StepStatus",
    "Wait",
    "WaitKey",
    "WaitStatus",
    "WebhookDelivery",
    "Worker",
    "WorkflowState",
]
