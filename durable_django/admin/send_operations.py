"""Send an event, and send a stored one again; each with a dry run first."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django import forms
from django.http import HttpResponse
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..clock import read_now
from ..define.registry import registry
from ..define.triggers import EventTrigger
from ..duration import parse_duration
from ..engine import operations
from ..engine.find_hooks import REQUEST_NAME
from ..engine.operate_events import copy_event
from ..engine.operations import UNCHANGED
from ..engine.plan_event import plan_event, plan_row
from ..engine.reveal import open_event, reveal_event
from ..exceptions import DurableError
from ..models import Event
from .edited import restore, write_json
from .event_page import find_event
from .forms import EMPTY, JsonField, ReasonForm
from .operation import Operation, is_of_state
from .pages import build_trail, show_gone
from .permits import may_see_payloads
from .plan_words import show_plan, write_send
from .render import find_page


class SendForm(ReasonForm):
    """Asks for the event."""

    name = forms.CharField(
        label=gettext_lazy("Name"),
        max_length=255,
        widget=forms.TextInput(attrs={"list": "dd-names", "autocomplete": "off", "class": "vTextField"}),
    )
    payload = JsonField(
        label=gettext_lazy("Data"), help_text=gettext_lazy("A JSON object."), mapping=True, required=False
    )
    id = forms.CharField(
        label=gettext_lazy("Sender’s id"),
        help_text=gettext_lazy("Each workflow starts once for an id in a while; empty: it has none."),
        max_length=255,
        required=False,
        widget=forms.TextInput(attrs={"autocomplete": "off", "class": "vTextField"}),
    )
    delay = forms.CharField(
        label=gettext_lazy("Delay"),
        help_text=gettext_lazy("Such as “10 minutes”: runs that it starts begin then. Empty: at once."),
        max_length=80,
        required=False,
    )

    def clean_delay(self) -> timedelta | None:
        """Return the delay as a length of time."""
        text = self.cleaned_data["delay"].strip()
        if not text:
            return None
        try:
            return parse_duration(text)
        except DurableError as error:
            raise forms.ValidationError(error.message) from error


class SendOperation(Operation):
    """An action that sends an event."""

    permission = "send_event"
    view_model = Event
    preview_button = gettext_lazy("Dry run")

    def list_trail(self) -> list[tuple[str, Any]]:
        """Return overview and events."""
        return build_trail(self.page)

    def list_consequences(self) -> list[Any]:
        """Recommend the dry run."""
        return [_("The dry run tells what it would start and resume, and changes nothing.")]

    def find_field(self, error: DurableError) -> str:
        """Put errors of the data beside it."""
        if is_of_state(error):
            return ""
        return "name" if "name" in error.message and "name" in self.form_class.base_fields else "payload"

    def tell(self, made: Any) -> Any:
        """Link to what was sent."""
        link = find_page(self.site, "event_change", made)
        return format_html('{} <a href="{}">{}</a>', _("The event was sent:"), link, made)

    def find_next(self, made: Any) -> str:
        """Go to the new event, which shows what it did."""
        return find_page(self.site, "event_change", made) or self.find_back()

    def find_home(self) -> str:
        """Return the list of events."""
        return find_page(self.site, "event_changelist")


class Send(SendOperation):
    """Sends an event that somebody writes."""

    code = "send"
    title = gettext_lazy("Send an event")
    button = gettext_lazy("Send the event")
    form_class = SendForm

    def find(self) -> bool:
        """Need nothing."""
        return True

    def name_target(self) -> dict[str, Any]:
        """Name nothing."""
        return {"run_id": None}

    @cached_property
    def names(self) -> list[str]:
        """Return the names of events that workflows listen to."""
        events = {t.event for each in registry for t in each.triggers if isinstance(t, EventTrigger)}
        return sorted(name for name in events if not name.endswith("*"))

    def fill_in(self) -> dict[str, Any]:
        """Begin with what the address says."""
        return {"name": self.request.GET.get("name", ""), "payload": "{}"}

    def ask(self) -> str:
        """Say what it is."""
        return _("Send an event, as code or the HTTP API would. Its source will be “operator”.")

    def preview(self, cleaned: dict[str, Any]) -> dict[str, Any]:
        """Tell what it would do."""
        data = _read_data(cleaned)
        plan = plan_event(cleaned["name"], data, id=cleaned["id"] or None, using=self.using)
        return {**show_plan(self.site, plan), "written": write_send(cleaned["name"], data)}

    def act(self, cleaned: dict[str, Any], **who: Any) -> Any:
        """Send."""
        delay, ts = cleaned["delay"], None
        if delay is not None:
            ts = int((read_now(self.using) + delay).timestamp() * 1000)
        name, data = cleaned["name"], _read_data(cleaned)
        return operations.send_as(name, data, id=cleaned["id"] or None, ts=ts, **who)


class ResendForm(ReasonForm):
    """Asks for the data."""

    payload = JsonField(
        label=gettext_lazy("Data"),
        help_text=gettext_lazy("Left as it is, the same is sent; masked values keep their originals."),
        mapping=True,
    )


class Resend(SendOperation):
    """Sends a stored event again, as a new one."""

    code = "resend"
    title = gettext_lazy("Send again")
    button = gettext_lazy("Send a new event")
    form_class = ResendForm
    target: Event

    def find(self) -> Event | None:
        """Return the event."""
        return find_event(self.using, self.key)

    def show_missing(self) -> HttpResponse:
        """Say that it is not stored."""
        return show_gone(self.page, self.request, self.key)

    def find_obstacle(self) -> str:
        """Say that the input of a run is sent to nobody."""
        if self.target.name != REQUEST_NAME:
            return ""
        return _("Nothing was done: this is the input of a run. Rerun that run instead.")

    @cached_property
    def shown(self) -> Any:
        """Return the data that the form begins with, masked."""
        return reveal_event(self.target)

    def make_form(self, data: Any = None) -> forms.Form:
        """Offer the data only to those who may see it, and only if it can be read."""
        form = super().make_form(data)
        if not may_see_payloads(self.request) or not isinstance(self.shown, dict):
            del form.fields["payload"]
        return form

    def fill_in(self) -> dict[str, Any]:
        """Begin with what was sent."""
        return {"payload": write_json(self.shown)}

    def ask(self) -> str:
        """Ask."""
        return _("Send “%s” again, as a new event with an id of its own?") % self.target.name

    def list_trail(self) -> list[tuple[str, Any]]:
        """Return overview, events, this event."""
        label = f"{self.target.name} …{str(self.target.pk)[-8:]}"
        return build_trail(self.page, (self.find_home(), label))

    def preview(self, cleaned: dict[str, Any]) -> dict[str, Any]:
        """Tell what it would do."""
        plan = plan_row(self.using, copy_event(self.target, self._read(cleaned)))
        data = cleaned.get("payload", EMPTY)
        written = write_send(self.target.name, data) if isinstance(data, dict) else []
        return {**show_plan(self.site, plan), "written": written}

    def act(self, cleaned: dict[str, Any], **who: Any) -> Any:
        """Send."""
        return operations.resend_event(self.target.pk, data=self._read(cleaned), **who)

    def _read(self, cleaned: dict[str, Any]) -> Any:
        data = cleaned.get("payload", EMPTY)
        if data is EMPTY or write_json(data) == write_json(self.shown):
            return UNCHANGED
        return restore(data, open_event(self.target))

    def find_home(self) -> str:
        """Return the event's page."""
        return find_page(self.site, "event_change", self.target.pk)


def _read_data(cleaned: dict[str, Any]) -> dict[str, Any]:
    data = cleaned.get("payload", EMPTY)
    return {} if data is EMPTY else data
