"""Invoke, pause and resume a workflow."""

from __future__ import annotations

from typing import Any, Final

from django import forms
from django.contrib.admin.utils import quote
from django.http import HttpResponse
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from ..define.registry import registry
from ..engine import operations
from ..engine.words import say_instant
from ..exceptions import DurableError
from ..models import PauseRunning, Run, RunStatus, WorkflowState
from .forms import EMPTY, JsonField, ReasonForm
from .operation import Operation, is_of_state
from .pages import build_trail, show_gone
from .plan_words import write_start
from .render import find_page, show_where

COUNTED: Final = 1_000
BEGUN: Final = (RunStatus.QUEUED, RunStatus.RUNNING, RunStatus.WAITING)


class WorkflowOperation(Operation):
    """An action on a workflow; ``target`` is its row, which need not be stored."""

    view_model = WorkflowState
    target: WorkflowState

    def find(self) -> WorkflowState | None:
        """Return what is stored of the workflow; one that only code knows has nothing stored yet."""
        stored = WorkflowState.objects.using(self.using).filter(pk=self.key).first()
        return stored or (WorkflowState(id=self.key) if self.key in registry else None)

    def show_missing(self) -> HttpResponse:
        """Say that nobody knows it."""
        return show_gone(self.page, self.request, self.key)

    def name_target(self) -> dict[str, Any]:
        """Return the name of the workflow."""
        return {"run_id": None, "workflow": self.target.id}

    def find_home(self) -> str:
        """Return the workflow's page."""
        return find_page(self.site, "workflowstate_change", quote(self.target.id))

    def list_trail(self) -> list[tuple[str, Any]]:
        """Return overview, workflows, this one."""
        return build_trail(self.page, (self.find_home(), self.target.id))

    def count(self, *statuses: str) -> str:
        """Return how many of its runs are in these states, as far as is counted."""
        runs = Run.objects.using(self.using).filter(workflow=self.target.id, status__in=statuses)
        found = runs.filter(wake_at__isnull=False).order_by()[: COUNTED + 1].count()
        return f"{COUNTED}+" if found > COUNTED else str(found)


class InvokeForm(ReasonForm):
    """Asks for the input."""

    payload = JsonField(
        label=gettext_lazy("Input"),
        help_text=gettext_lazy("A JSON object: the data of the event that the run sees."),
        mapping=True,
        required=False,
    )
    key = forms.CharField(
        label=gettext_lazy("Key"),
        help_text=gettext_lazy("At most one run is started for a key in a while; empty: always a new one."),
        max_length=255,
        required=False,
    )


class Invoke(WorkflowOperation):
    """Starts a run by hand."""

    code, permission = "invoke", "invoke_workflow"
    title = gettext_lazy("Invoke a workflow")
    button = gettext_lazy("Start the run")
    preview_button = gettext_lazy("Check only")
    form_class = InvokeForm

    def find_obstacle(self) -> str:
        """Say that this process lacks the code."""
        if self.target.id in registry:
            return ""
        return _("Nothing was done: this process does not know the workflow “%s”.") % self.target.id

    def fill_in(self) -> dict[str, Any]:
        """Begin with nothing."""
        return {"payload": "{}"}

    def ask(self) -> str:
        """Ask."""
        return _("Start a run of “%s” now?") % self.target.id

    def list_consequences(self) -> list[Any]:
        """Say where the code is, and that the workflow is paused."""
        workflow = registry.find(self.target.id)
        told: list[Any] = [show_where(workflow.where)] if workflow else []
        if self.target.paused_at is not None:
            told.append(_("The workflow is paused: the run is stored and starts when it is resumed."))
        return told

    def preview(self, cleaned: dict[str, Any]) -> dict[str, Any]:
        """Show the same in a terminal."""
        written = write_start(self.target.id, _read(cleaned))
        return {"template": "durable_django/admin/written.html", "written": written}

    def find_field(self, error: DurableError) -> str:
        """Put errors of the data beside it."""
        return "" if is_of_state(error) else "payload"

    def act(self, cleaned: dict[str, Any], **who: Any) -> Any:
        """Start the run."""
        key = cleaned["key"] or None
        return operations.invoke_workflow(self.target.id, _read(cleaned), key=key, **who)

    def tell(self, made: Any) -> Any:
        """Name the run."""
        return format_html("{} <code>{}</code>", _("A run was started:"), made.id)

    def find_next(self, made: Any) -> str:
        """Go to the run."""
        return find_page(self.site, "run_change", made.id) or self.find_back()


class PauseForm(ReasonForm):
    """Asks what becomes of the runs that have begun."""

    running = forms.ChoiceField(
        label=gettext_lazy("Runs that have begun"),
        choices=[
            (PauseRunning.FINISH, gettext_lazy("go on to their end")),
            (PauseRunning.STOP, gettext_lazy("stop before their next step")),
        ],
        widget=forms.RadioSelect,
        initial=PauseRunning.FINISH,
    )


class Pause(WorkflowOperation):
    """Lets no run of a workflow start."""

    code, permission = "pause", "pause_workflow"
    title = gettext_lazy("Pause the workflow")
    button = gettext_lazy("Pause the workflow")
    form_class = PauseForm

    def fill_in(self) -> dict[str, Any]:
        """Propose the gentler way, or for a paused workflow the other one."""
        gentle = self.target.paused_at is None or self.target.pause_running == PauseRunning.STOP
        return {"running": PauseRunning.FINISH if gentle else PauseRunning.STOP}

    def ask(self) -> str:
        """Ask."""
        if self.target.paused_at is None:
            return _("Pause “%s”?") % self.target.id
        values = {"name": self.target.id, "by": self.target.paused_by}
        return _("“%(name)s” is paused already, by %(by)s. Pause it in another way?") % values

    def list_consequences(self) -> list[Any]:
        """Say what becomes of events and runs."""
        return [
            _("Events are still received. New runs are stored, queue up as “paused” and start on resume."),
            _("Runs that have begun or are queued now: %s.") % self.count(*BEGUN),
        ]

    def act(self, cleaned: dict[str, Any], **who: Any) -> Any:
        """Pause."""
        return operations.pause_workflow(self.target.id, running=cleaned["running"], **who)

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

    @cached_property
    def waiting(self) -> str:
        """Return how many runs wait for it."""
        return self.count(RunStatus.PAUSED)

    def list_consequences(self) -> list[Any]:
        """Say who paused it and how many runs will start."""
        values = {
            "by": self.target.paused_by,
            "at": say_instant(self.target.paused_at),
            "why": self.target.pause_reason or "–",
        }
        number = int(self.waiting.rstrip("+"))
        text = ngettext("%s run that waits goes on.", "%s runs that wait go on.", number)
        return [_("Paused by %(by)s at %(at)s: %(why)s") % values, text % self.waiting]

    def act(self, cleaned: dict[str, Any], **who: Any) -> Any:
        """Resume."""
        return operations.resume_workflow(self.target.id, **who)

    def tell(self, made: Any) -> str:
        """Say so."""
        return _("“%s” goes on.") % self.target.id


def _read(cleaned: dict[str, Any]) -> dict[str, Any]:
    data = cleaned.get("payload", EMPTY)
    return {} if data is EMPTY else data
