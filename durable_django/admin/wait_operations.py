"""Resolve, time out and extend an open wait."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.http import HttpResponse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..clock import read_now, read_time
from ..engine import operations
from ..engine.words import name_step, say_instant
from ..exceptions import DurableError
from ..models import Run, Wait, WaitStatus
from .forms import JsonField, ReasonForm
from .operation import Operation, is_of_state
from .pages import build_trail, show_gone
from .render import find_page, show_link
from .wait_page import find_wait
from .wait_words import name_wait, say_timeout


class WaitOperation(Operation):
    """An action on an open wait."""

    permission = "resolve_wait"
    view_model = Wait
    target: Wait

    def find(self) -> Wait | None:
        """Return the wait with its run."""
        return find_wait(self.using, self.key)

    def show_missing(self) -> HttpResponse:
        """Say that it is not stored."""
        return show_gone(self.page, self.request, self.key)

    def find_obstacle(self) -> str:
        """Say that it has ended."""
        if self.target.status == WaitStatus.OPEN:
            return ""
        return _("Nothing was done: this wait has ended (%s).") % self.target.get_status_display()

    def read_state(self) -> str:
        """Return its status."""
        return str(self.target.status)

    def name_target(self) -> dict[str, Any]:
        """Return the names of its run."""
        return {"run_id": self.target.run_id, "workflow": self.target.run.workflow}

    def find_home(self) -> str:
        """Return the wait's page."""
        return find_page(self.site, "wait_change", self.target.pk)

    def list_trail(self) -> list[tuple[str, Any]]:
        """Return overview, waits, this wait."""
        return build_trail(self.page, (self.find_home(), name_wait(self.target)))

    def list_consequences(self) -> list[Any]:
        """Name the run and the step."""
        run = show_link(
            self.site, Run, self.target.run_id, f"{self.target.run.workflow} {self.target.run_id}"
        )
        values = {"step": name_step(self.target.name, self.target.index), "run": run}
        return [format_html(_("Step “{step}” of run {run}."), **values)]

    def find_next(self, made: Any) -> str:
        """Go to the run, which goes on now."""
        return find_page(self.site, "run_change", self.target.run_id) or self.find_back()

    def tell_refused(self, error: DurableError) -> str:
        """Say that it has ended meanwhile."""
        if is_of_state(error):
            wait = find_wait(self.using, self.key)
            if wait is not None and wait.status != WaitStatus.OPEN:
                text = _("Nothing was done: this wait has ended meanwhile (%s).")
                return text % wait.get_status_display()
        return str(error.message)


class ValueForm(ReasonForm):
    """Asks for a value."""

    value = JsonField(
        label=gettext_lazy("Value"),
        help_text=gettext_lazy("JSON."),
        rows=8,
    )


class Resolve(WaitOperation):
    """Ends a wait with a value."""

    code = "resolve"
    title = gettext_lazy("Resolve the wait")
    button = gettext_lazy("Resolve with this value")
    form_class = ValueForm

    def find_obstacle(self) -> str:
        """Say that a rule has no value."""
        if self.target.kind == "cancel":
            return _("Nothing was done: a rule that cancels a run takes no value.")
        return super().find_obstacle()

    def make_form(self, data: Any = None) -> forms.Form:
        """Say what the value stands for."""
        form = super().make_form(data)
        form.fields["value"].help_text = self._help()
        return form

    def _help(self) -> str:
        if self.target.kind == "child":
            return _("JSON. The step returns exactly this, as if the other run had.")
        if self.target.signal:
            return _("JSON. It becomes the data of the signal.")
        return _("A JSON object. It becomes the data of the event that the step returns.")

    def ask(self) -> str:
        """Ask."""
        text = _("Let the run go on as if “%s” had come with the value below?")
        return text % name_wait(self.target)

    def list_consequences(self) -> list[Any]:
        """Say that it will be seen."""
        return [*super().list_consequences(), _("The run will show that you supplied it.")]

    def find_field(self, error: DurableError) -> str:
        """Put errors of the value beside it."""
        return "" if is_of_state(error) else "value"

    def act(self, cleaned: dict[str, Any], **who: Any) -> Any:
        """Resolve."""
        return operations.resolve_wait(self.target.pk, cleaned["value"], **who)

    def tell(self, made: Any) -> str:
        """Say so."""
        return _("The wait was resolved; the run goes on with your value.")


class TimeOut(WaitOperation):
    """Ends a wait as its time-out would."""

    code = "time out"
    title = gettext_lazy("Time out now")
    button = gettext_lazy("Time out now")

    def ask(self) -> str:
        """Ask."""
        return _("End this wait for “%s” now, as if its time were over?") % name_wait(self.target)

    def list_consequences(self) -> list[Any]:
        """Say what follows a time-out."""
        return [*super().list_consequences(), _("Without this: %s") % say_timeout(self.target)]

    def act(self, cleaned: dict[str, Any], **who: Any) -> Any:
        """Time out."""
        return operations.time_out_wait(self.target.pk, **who)

    def tell(self, made: Any) -> str:
        """Say so."""
        return _("The wait timed out; the run goes on.")


class UntilForm(ReasonForm):
    """Asks for an instant."""

    until = forms.DateTimeField(
        label=gettext_lazy("Wait until"),
        help_text=gettext_lazy("In the time zone of this site."),
        widget=forms.DateTimeInput(attrs={"type": "datetime-local", "step": "1"}, format="%Y-%m-%dT%H:%M:%S"),
    )


class Extend(WaitOperation):
    """Gives a wait more time."""

    code = "extend"
    title = gettext_lazy("Extend the wait")
    button = gettext_lazy("Wait until then")
    form_class = UntilForm

    def fill_in(self) -> dict[str, Any]:
        """Propose a day more."""
        later = max(read_time(self.target.expires_at), read_now(self.using)) + timedelta(days=1)
        return {"until": timezone.localtime(later).replace(microsecond=0, tzinfo=None)}

    def ask(self) -> str:
        """Ask."""
        values = {"name": name_wait(self.target), "until": say_instant(self.target.expires_at)}
        return _("Let the wait for “%(name)s” end later than %(until)s?") % values

    def find_field(self, error: DurableError) -> str:
        """Put errors of the instant beside it."""
        return "" if is_of_state(error) else "until"

    def act(self, cleaned: dict[str, Any], **who: Any) -> Any:
        """Extend."""
        self.until: datetime = cleaned["until"]
        return operations.extend_wait(self.target.pk, self.until, **who)

    def tell(self, made: Any) -> str:
        """Say until when."""
        return _("The wait ends at %s now.") % say_instant(self.until)

    def find_next(self, made: Any) -> str:
        """Stay with the wait."""
        return self.find_back()
