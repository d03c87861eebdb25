"""Pause and resume a workflow in the browser."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django import forms
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from ..engine import operations
from ..engine.operate_workflows import CANCEL
from ..engine.words import say_instant
from ..models import PauseNew, PauseRunning, RunStatus
from .forms import ReasonForm
from .permits import may_do
from .render import find_page
from .workflow_operations import COUNTED, WorkflowOperation


class PauseForm(ReasonForm):
    """Asks what becomes of new runs and of those that have begun."""

    running = forms.ChoiceField(
        label=gettext_lazy("Runs that have begun"),
        choices=[
            (PauseRunning.FINISH, gettext_lazy("go on to their end")),
            (PauseRunning.STOP, gettext_lazy("stop before their next step")),
            (CANCEL, gettext_lazy("are cancelled")),
        ],
        widget=forms.RadioSelect,
        initial=PauseRunning.FINISH,
    )

    new = forms.ChoiceField(
        label=gettext_lazy("New runs"),
        choices=[
            (PauseNew.QUEUE, gettext_lazy("queue up and start on resume")),
            (PauseNew.SKIP, gettext_lazy("are skipped: cancelled, and listed to be retried later")),
        ],
        widget=forms.RadioSelect,
        initial=PauseNew.QUEUE,
        required=False,
    )
    field_order = ("new", "running", "reason")

    def withhold_cancel(self) -> None:
        """Do not offer to cancel."""
        field: Any = self.fields["running"]
        field.choices = [choice for choice in field.choices if choice[0] != CANCEL]


class Pause(WorkflowOperation):
    """Lets no run of a workflow start."""

    code, permission = "pause", "pause_workflow"
    title = gettext_lazy("Pause the workflow")
    button = gettext_lazy("Pause the workflow")
    form_class = PauseForm

    def make_form(self, data: Any = None) -> forms.Form:
        """Offer to cancel only to those who may cancel many."""
        form = PauseForm(data, initial=self.fill_in())
        if not (may_do(self.request, "cancel_run") and may_do(self.request, "bulk_operate")):
            form.withhold_cancel()
        return form

    def fill_in(self) -> dict[str, Any]:
        """Propose the gentler way, or for a paused workflow the other one."""
        gentle = self.target.paused_at is None or self.target.pause_running == PauseRunning.STOP
        return {
            "running": PauseRunning.FINISH if gentle else PauseRunning.STOP,
            "new": self.target.pause_new or PauseNew.QUEUE,
        }

    def ask(self) -> str:
        """Ask."""
        if self.target.paused_at is None:
            return _("Pause “%s”?") % self.target.id
        values = {"name": self.target.id, "by": self.target.paused_by}
        return _("“%(name)s” is paused already, by %(by)s. Pause it in another way?") % values

    def list_consequences(self) -> list[Any]:
        """Say what becomes of events and runs."""
        return [
            _("Events are still received, and their runs are stored."),
            _("Runs that have begun: %s.") % _say(self.count(started_at__isnull=False)),
            _("Runs that have not begun: %s.") % _say(self.count(started_at__isnull=True)),
        ]

    def act(self, cleaned: dict[str, Any], **who: Any) -> Any:
        """Pause."""
        new = cleaned["new"] or PauseNew.QUEUE
        return operations.pause_workflow(self.target.id, running=cleaned["running"], new=new, **who)

    def tell(self, made: Any) -> str:
        """Say so."""
        return _("“%s” is paused.") % self.target.id


class Resume(WorkflowOperation):
    """Lets the runs of a workflow start again."""

    code, permission = "resume", "pause_workflow"
    title = gettext_lazy("Resume the workflow")
    button = gettext_lazy("Resume the workflow")

    def find_obstacle(self) -> str:
        """Say that it is not paused."""
        if self.target.paused_at is not None:
            return ""
        return _("Nothing was done: “%s” is not paused.") % self.target.id

    def ask(self) -> str:
        """Ask."""
        return _("Resume “%s”?") % self.target.id

    def list_consequences(self) -> list[Any]:
        """Say who paused it, how many runs will start and go on, and how to skip the former."""
        values = {
            "by": self.target.paused_by,
            "at": say_instant(self.target.paused_at),
            "why": self.target.pause_reason or "–",
        }
        told = _("Paused by %(by)s at %(at)s: %(why)s") % values
        return [told, *self._list_skipped(), *self._list_starting(), *self._list_held()]

    def _list_skipped(self) -> list[Any]:
        if self.target.pause_new != PauseNew.SKIP:
            return []
        query = urlencode({"workflow": self.target.id, "status": "cancelled", "created": "all"})
        link = f"{find_page(self.site, 'run_changelist')}?{query}"
        told = _("Runs that came meanwhile are skipped, not started. Retry them here if they are wanted: {}.")
        return [format_html(told, format_html('<a href="{}">{}</a>', link, _("cancelled runs")))]

    def _list_starting(self) -> list[Any]:
        queued: dict[str, Any] = {"status": RunStatus.PAUSED, "started_at__isnull": True}
        if self.target.pause_new == PauseNew.SKIP:
            queued["created_at__lt"] = self.target.paused_at
        count = self.count(**queued)
        text = ngettext(
            "%s queued run will start as soon as a worker takes it.",
            "%s queued runs will start, as fast as the workers take them.",
            count,
        )
        return [text % _say(count), *self._offer_skip(count)]

    def _offer_skip(self, count: int) -> list[Any]:
        if not (count and may_do(self.request, "cancel_run") and may_do(self.request, "bulk_operate")):
            return []
        chosen = {"workflow": self.target.id, "status": "paused", "fresh": "1", "created": "all"}
        query = urlencode({"action": "cancel", **chosen, "next": self.request.path})
        url = f"{find_page(self.site, 'bulk_new')}?{query}"
        link = format_html('<a href="{}">{}</a>', url, _("skip them first"))
        told = _("They need not: {}. They are cancelled then and listed, to be retried later or never.")
        return [format_html(told, link)]

    def _list_held(self) -> list[Any]:
        count = self.count(status=RunStatus.PAUSED, started_at__isnull=False)
        text = ngettext(
            "%s run that was stopped goes on with its next step.",
            "%s runs that were stopped go on with their next step.",
            count,
        )
        return [text % _say(count)] if count else []

    def act(self, cleaned: dict[str, Any], **who: Any) -> Any:
        """Resume."""
        return operations.resume_workflow(self.target.id, **who)

    def tell(self, made: Any) -> str:
        """Say so."""
        return _("“%s” goes on.") % self.target.id


def _say(count: int) -> str:
    return f"{COUNTED:,}+" if count > COUNTED else str(count)
