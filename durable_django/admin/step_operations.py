"""Give a result in place of a step that fails."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..engine import operations
from ..engine.words import name_step
from ..exceptions import DurableError
from ..models import Run, Step, StepStatus
from .operation import Operation, is_of_state
from .pages import show_gone
from .render import find_page, show_link
from .wait_operations import ValueForm

FAILING = (StepStatus.RETRYING, StepStatus.FAILED)


class Supply(Operation):
    """Lets the workflow go on with a value that an operator gives."""

    code, permission = "supply", "resolve_wait"
    title = gettext_lazy("Skip the step with this result")
    button = gettext_lazy("Go on with this result")
    view_model = Step
    form_class = ValueForm
    target: Step

    def find(self) -> Step | None:
        """Return the step with its run."""
        steps = Step.objects.using(self.using).select_related("run")
        return steps.filter(pk=int(self.key)).first() if len(self.key) < 19 else None

    def show_missing(self) -> HttpResponse:
        """Say that it is not stored."""
        return show_gone(self.page, self.request, self.key)

    def find_obstacle(self) -> str:
        """Say that it does not fail."""
        if self.target.status in FAILING:
            return ""
        values = {"step": self._name, "status": self.target.get_status_display()}
        return _("Nothing was done: step “%(step)s” is %(status)s.") % values

    @property
    def _name(self) -> str:
        return name_step(self.target.name, self.target.index)

    def read_state(self) -> str:
        """Return its status."""
        return str(self.target.status)

    def name_target(self) -> dict[str, Any]:
        """Return the names of its run."""
        return {"run_id": self.target.run_id, "workflow": self.target.run.workflow}

    def list_trail(self) -> list[tuple[str, Any]]:
        """Return overview, run, step."""
        run = self.target.run
        label = f"{run.workflow} …{str(run.pk)[-8:]}"
        ours = [(find_page(self.site, "run_change", run.pk), label), (self.find_home(), self._name)]
        return [*super().list_trail(), *ours]

    def ask(self) -> str:
        """Ask."""
        return _("Let the workflow go on as if step “%s” had returned the value below?") % self._name

    def list_consequences(self) -> list[Any]:
        """Name the run, and say what is not done."""
        run = show_link(
            self.site, Run, self.target.run_id, f"{self.target.run.workflow} {self.target.run_id}"
        )
        return [
            format_html(_("It is a step of run {}."), run),
            _("The step is not tried again. The run will show that you supplied its result."),
        ]

    def find_field(self, error: DurableError) -> str:
        """Put errors of the value beside it."""
        return "" if is_of_state(error) else "value"

    def act(self, cleaned: dict[str, Any], **who: Any) -> Any:
        """Supply."""
        step = self.target
        return operations.supply_step(step.run_id, step.name, step.index, cleaned["value"], **who)

    def tell(self, made: Any) -> str:
        """Say so."""
        return _("The run goes on with your result.")

    def find_home(self) -> str:
        """Return the step's page."""
        return find_page(self.site, "step_change", self.target.pk)
