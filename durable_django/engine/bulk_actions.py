"""The actions that can be taken in bulk: on which rows, by which operation, with which permission."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy as _

from ..exceptions import BulkInvalid
from ..models import Run, RunStatus, Wait, WaitStatus
from ..models.run import ENDED, LIVE
from . import operations
from .bulk_filter import RUN_FIELDS, WAIT_FIELDS, Field, read_filter, select


@dataclass(frozen=True, kw_only=True)
class BulkAction:
    """What is done to each row: ``call`` is an operation, ``fits`` says which rows it can be done to."""

    title: Any
    permission: str
    model: type[Run | Wait]
    fits: Q
    call: Callable[..., Any]
    arguments: tuple[str, ...] = ()
    """Names of what the operation is given besides; each is required."""
    flags: tuple[str, ...] = ()
    """Names of what it may be given besides, true or false."""

    @property
    def fields(self) -> Mapping[str, Field]:
        """The names that the filter may have."""
        return RUN_FIELDS if self.model is Run else WAIT_FIELDS

    @property
    def noun(self) -> str:
        """What the rows are called, ``run`` or ``wait``."""
        return str(self.model._meta.model_name)


# The second half of a condition is always true of these rows; it lets a partial index serve.
_LIVE = Q(status__in=LIVE, wake_at__isnull=False)
_OPEN = Q(status=WaitStatus.OPEN, kind__in=("event", "signal"))

ACTIONS: Final[dict[str, BulkAction]] = {
    "cancel": BulkAction(
        title=_("Cancel"),
        permission="cancel_run",
        model=Run,
        fits=_LIVE,
        call=operations.cancel_run,
        flags=("children",),
    ),
    "retry": BulkAction(
        title=_("Retry"),
        permission="retry_run",
        model=Run,
        fits=Q(status__in=(RunStatus.FAILED, RunStatus.CANCELLED)),
        call=operations.retry_run,
    ),
    "wake": BulkAction(
        title=_("Wake"),
        permission="retry_run",
        model=Run,
        fits=Q(status=RunStatus.WAITING, waits_for__in=("sleep", "retry", "start"), wake_at__isnull=False),
        call=operations.wake_run,
    ),
    "rerun": BulkAction(title=_("Rerun"), permission="rerun_run", model=Run, fits=Q(), call=operations.rerun),
    "delete": BulkAction(
        title=_("Delete"),
        permission="delete_run",
        model=Run,
        fits=Q(status__in=ENDED),
        call=operations.delete_run,
    ),
    "resolve": BulkAction(
        title=_("Resolve"),
        permission="resolve_wait",
        model=Wait,
        fits=_OPEN,
        call=operations.resolve_wait,
        arguments=("value",),
    ),
    "time_out": BulkAction(
        title=_("Time out"),
        permission="resolve_wait",
        model=Wait,
        fits=_OPEN,
        call=operations.time_out_wait,
    ),
}


def find_action(name: str) -> BulkAction:
    """Return the action of that name.

    Raises:
        BulkInvalid: There is none.
    """
    action = ACTIONS.get(name)
    if action is None:
        raise BulkInvalid(reason=f"{str(name)[:40]!r} is no action; there are {', '.join(ACTIONS)}")
    return action


def select_rows(
    using: str, action: BulkAction, chosen: Mapping[str, Any], cutoff: datetime | None
) -> QuerySet[Any]:
    """Return the rows that a stored filter chooses now, of those that were created before the cut-off."""
    rows: QuerySet[Any] = action.model._default_manager.using(using)
    rows = rows.filter(action.fits, select(action.fields, chosen))
    return rows if cutoff is None else rows.filter(created_at__lte=cutoff)


def read_chosen(action: BulkAction, given: Any) -> dict[str, Any]:
    """Return the filter as it is stored; see ``bulk_filter.read_filter``."""
    return read_filter(action.fields, given)
