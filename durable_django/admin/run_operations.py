"""Cancel, retry and wake of one run."""

from __future__ import annotations

from typing import Any, Final

from django import forms
from django.http import HttpRequest, HttpResponse
from django.utils.functional import cached_property
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from ..engine import operations
from ..engine.alias import get_alias
from ..engine.diagnose import diagnose
from ..engine.grant import Limit, find_limit
from ..engine.refusal import record_refusal
from ..exceptions import DurableError, InvalidAttempts, OperationRefused
from ..models import Run, RunStatus, Step, StepStatus, Wait, WaitStatus
from ..models.run import LIVE
from .actions import get_actor
from .forms import ReasonForm, children_field
from .operation import Operation
from .render import find_page, show_sentence
from .run_page import find_run, show_missing

AGAIN: Final = (RunStatus.FAILED, RunStatus.CANCELLED)
FEW: Final = (1, 3)
"""Numbers of attempts that are offered besides the declared one."""
WAKES: Final = ("sleep", "retry", "start")
"""What a run may wait for that an operator can end by hand."""


def deny(request: HttpRequest, verb: str, run: Run | None) -> None:
    """Note in the operator log that somebody tried what they may not do."""
    record_refusal(
        get_alias(),
        actor=get_actor(request),
        action=verb,
        run_id=run.pk if run else None,
        workflow=run.workflow if run else "",
        result="denied",
    )


class RunOperation(Operation):
    """An action on a run."""

    view_model = Run
    target: Run
    states: tuple[str, ...] = ()

    def find(self) -> Run | None:
        """Return the run."""
        return find_run(self.key)

    def show_missing(self) -> HttpResponse:
        """Say that it is not stored."""
        return show_missing(self.page, self.request, self.key)

    def find_obstacle(self) -> str:
        """Say that the run is in a state that it cannot be done in."""
        return "" if self.target.status in self.states else self._tell_nothing_done(self.target.status)

    def read_state(self) -> str:
        """Return its status."""
        return str(self.target.status)

    def name_target(self) -> dict[str, Any]:
        """Return the run's names."""
        return {"run_id": self.target.pk, "workflow": self.target.workflow}

    def find_home(self) -> str:
        """Return the run's page."""
        return find_page(self.site, "run_change", self.target.pk)

    def list_trail(self) -> list[tuple[str, Any]]:
        """Return overview, runs, this run."""
        runs = (find_page(self.site, "run_changelist"), _("Runs"))
        return [
            *super().list_trail(),
            runs,
            (self.find_home(), f"{self.target.workflow} {short(self.target)}"),
        ]

    def tell_refused(self, error: DurableError) -> str:
        """Say what the run is now, and what it was when the page was opened."""
        if not isinstance(error, OperationRefused):
            return str(error.message)
        return self._tell_nothing_done(str(error.details.get("status", "")))

    def _tell_nothing_done(self, status: str) -> str:
        seen = self.request.POST.get("seen", "")
        text = _("Nothing was done: run %(run)s is %(now)s.")
        if seen in RunStatus.values and seen != status:
            text = _(
                "Nothing was done: run %(run)s is already %(now)s (it was %(seen)s when you opened the page)."
            )
        values = {"run": self.target.pk, "now": _label(status), "seen": _label(seen)}
        return text % values


class CancelForm(ReasonForm):
    """Asks what becomes of the runs that it invoked."""

    children = children_field()


class Cancel(RunOperation):
    """Ends a run."""

    code, permission, dangerous = "cancel", "cancel_run", True
    title = gettext_lazy("Cancel the run")
    button = gettext_lazy("Cancel the run")
    states = LIVE

    def make_form(self, data: Any = None) -> forms.Form:
        """Ask for the children only if there are any."""
        return CancelForm(data) if self._children else ReasonForm(data)

    def ask(self) -> str:
        """Ask."""
        text = _("Cancel this run of “%s”? Its current step may still finish once; no further step starts.")
        return text % self.target.workflow

    def list_consequences(self) -> list[Any]:
        """Name the step that it is at, its waits and its children."""
        told: list[Any] = []
        why = diagnose(self.using, self.target)
        if why is not None:
            told.append(show_sentence(_("Now: %s") % why.sentence))
        waits = self._count_waits()
        if waits:
            told.append(ngettext("%d open wait is closed.", "%d open waits are closed.", waits) % waits)
        if self._children:
            text = ngettext(
                "It invoked %d run that has not ended.",
                "It invoked %d runs that have not ended.",
                self._children,
            )
            told.append(text % self._children)
        return [*told, _("This cannot be undone; you can retry or rerun it later.")]

    def act(self, cleaned: dict[str, Any], **who: Any) -> Any:
        """Cancel."""
        return operations.cancel_run(self.target.pk, children=cleaned.get("children") == "yes", **who)

    def tell(self, made: Any) -> str:
        """Say so."""
        return _("The run was cancelled.")

    @property
    def _children(self) -> int:
        known = vars(self)
        if "_counted" not in known:
            children = Run.objects.using(self.using).filter(parent_id=self.target.pk, status__in=LIVE)
            known["_counted"] = children.count()
        return int(known["_counted"])

    def _count_waits(self) -> int:
        opened = Wait.objects.using(self.using).filter(run_id=self.target.pk, status=WaitStatus.OPEN)
        return opened.exclude(kind="cancel").count()


class RetryForm(ReasonForm):
    """Asks how often what failed is tried."""

    attempts = forms.TypedChoiceField(
        label=gettext_lazy("Give it"), coerce=int, empty_value=None, required=False, widget=forms.RadioSelect
    )

    def offer(self, most: int) -> None:
        """Offer one attempt, three, and as many as the code declares."""
        field = self.fields["attempts"]
        assert isinstance(field, forms.ChoiceField)
        few = [(count, _say_attempts(count)) for count in FEW if count < most]
        field.choices = [("", _("%s, as the code declares") % _say_attempts(most)), *few]


class Retry(RunOperation):
    """Lets an ended run go on."""

    code, permission = "retry", "retry_run"
    title = gettext_lazy("Retry the run")
    button = gettext_lazy("Retry the run")
    states = AGAIN

    def ask(self) -> str:
        """Ask."""
        text = _("Let this run of “%s” go on where it stopped? Completed steps are not repeated.")
        return text % self.target.workflow

    @cached_property
    def limit(self) -> Limit | None:
        """Return what failed and how often it is tried at most."""
        return find_limit(self.using, self.target)

    def make_form(self, data: Any = None) -> forms.Form:
        """Ask for the number of attempts if there is a choice."""
        if self.limit is None or self.limit.attempts == 1:
            return ReasonForm(data)
        form = RetryForm(data, initial={"attempts": ""})
        form.offer(self.limit.attempts)
        return form

    def list_consequences(self) -> list[Any]:
        """Name what is tried again."""
        steps = Step.objects.using(self.using).filter(run_id=self.target.pk, status=StepStatus.FAILED)
        failed = (
            self.limit.step if self.limit else steps.order_by("-pk").values_list("name", flat=True).first()
        )
        if failed:
            return [_("The step “%s” is tried again.") % failed]
        return [_("The code between the steps is executed again.")] if self.limit else []

    def find_field(self, error: DurableError) -> str:
        """Put the number beside its field."""
        return "attempts" if isinstance(error, InvalidAttempts) else ""

    def act(self, cleaned: dict[str, Any], **who: Any) -> Any:
        """Retry."""
        return operations.retry_run(self.target.pk, attempts=cleaned.get("attempts"), **who)

    def tell(self, made: Any) -> str:
        """Say so."""
        return _("The run is queued again.")


def short(run: Run) -> str:
    """Return the end of a run's id, which tells runs of one moment apart."""
    return f"…{str(run.pk)[-8:]}"


def _say_attempts(count: int) -> str:
    return ngettext("%d attempt", "%d attempts", count) % count


def _label(status: str) -> str:
    return str(RunStatus(status).label) if status in RunStatus.values else status
