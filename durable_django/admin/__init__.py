"""The stock admin of the durable tables: read-only screens, and four actions on runs.

In: the models and ``engine.operations``. Out: pages. Nothing else in the package imports
``django.contrib.admin``, so a project without it loses nothing. Every list has a fixed number of queries,
reads only the columns that it shows and never counts beyond ``base.COUNTED`` rows.
"""

from .bulk import BulkOperationAdmin
from .events import EventAdmin
from .parts import AttemptAdmin, StepAdmin
from .records import AuditEntryAdmin
from .runs import RunAdmin
from .waits import WaitAdmin
from .workers import WorkerAdmin
from .workflows import WorkflowAdmin

__all__ = [
    "AttemptAdmin",
    "AuditEntryAdmin",
    "BulkOperationAdmin",
    "EventAdmin",
    "RunAdmin",
    "StepAdmin",
    "WaitAdmin",
    "WorkerAdmin",
    "WorkflowAdmin",
]
