"""Actions on a workflow, and the one that invokes it."""

from __future__ import annotations

from typing import Any, Final

from django import forms
from django.contrib.admin.utils import quote
from django.http import HttpResponse
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..define.registry import registry
from ..engine import operations
from ..exceptions import DurableError
from ..models import Run, WorkflowState
from .forms import EMPTY, JsonField, ReasonForm
from .operation import Operation, is_of_state
from .pages import build_trail, show_gone
from .plan_words import write_start
from .render import find_page, show_where

COUNTED: Final = 1_000


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

    def count(self, **chosen: Any) -> int:
        """Return how many of its runs that have not ended are so, up to one more than is counted."""
        runs = Run.objects.using(self.using).filter(workflow=self.target.id, wake_at__isnull=False, **chosen)
        return int(runs.order_by()[: COUNTED + 1].count())


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


def _read(cleaned: dict[str, Any]) -> dict[str, Any]:
    data = cleaned.get("payload", EMPTY)
    return {} if data is EMPTY else data
