"""The operator log: one row for each action, appended and never changed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

ADDRESS: Final = 45
"""The longest text of an IP address."""

_bulk: ContextVar[int | None] = ContextVar("durable_bulk", default=None)
_address: ContextVar[str] = ContextVar("durable_address", default="")


@contextmanager
def acting_for(bulk: int | None) -> Iterator[None]:
    """Let the rows of the log that are written within name the bulk operation."""
    mark = _bulk.set(bulk)
    try:
        yield
    finally:
        _bulk.reset(mark)


def get_bulk() -> int | None:
    """Return the bulk operation in whose course this is called."""
    return _bulk.get()


@contextmanager
def acting_from(address: str) -> Iterator[None]:
    """Let the rows of the log that are written within name the address of a request."""
    mark = _address.set(address[:ADDRESS])
    try:
        yield
    finally:
        _address.reset(mark)


def get_address() -> str:
    """Return the address that the request came from in whose course this is called, empty without one."""
    return _address.get()


class AuditEntry(models.Model):
    """Who did what to which run, why, and what came of it; ``actor`` is text such as ``user:17 ann``.

    It names the user besides the key, so that the log can still be read when the account is gone. ``ip`` is the
    address that the request came from, empty if there was none.
    """

    at = models.DateTimeField(_("at"), db_default=Now())
    actor = models.CharField(_("actor"), max_length=120)
    action = models.CharField(_("action"), max_length=32)
    run_id = models.UUIDField(_("run"), null=True)
    workflow = models.CharField(_("workflow"), max_length=200, default="", blank=True)
    reason = models.CharField(_("reason"), max_length=255, default="", blank=True)
    result = models.CharField(_("result"), max_length=255, default="", blank=True)
    ip = models.CharField(_("address"), max_length=ADDRESS, default=get_address, db_default="", blank=True)
    bulk_id = models.BigIntegerField(_("bulk operation"), null=True, blank=True, default=get_bulk)

    class Meta:
        verbose_name = _("operator action")
        verbose_name_plural = _("operator log")
        default_permissions = ("view",)
        indexes = [
            models.Index(fields=["run_id"], name="durable_audit_run"),
            models.Index(fields=["at"], name="durable_audit_at"),
            models.Index(
                fields=["bulk_id", "id"], name="durable_audit_bulk", condition=models.Q(bulk_id__isnull=False)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.actor}: {self.action}"
