"""Start a new run like an old one: from the beginning or from a step, with the same input or another."""

from __future__ import annotations

from typing import Any, Final

from django import forms
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from ..define.registry import registry
from ..engine import operations
from ..engine.operations import UNCHANGED, StepRef
from ..engine.rerun_facts import compare_steps, find_key_holder
from ..engine.reveal import open_event, reveal_event
from ..engine.words import name_step
from ..exceptions import DurableError, KeyInUse
from ..models import Run, Step, StepKind, StepStatus
from ..models.run import ENDED, LIVE
from ..store.copy_steps import count_copies
from .edited import compare, restore, write_json
from .forms import EMPTY, JsonField, ReasonForm
from .operation import is_of_state
from .permits import may_see_payloads
from .render import find_page, show_link
from .run_operations import RunOperation

EFFECTS: Final = (StepKind.RUN, StepKind.FETCH, StepKind.INFER, StepKind.WRAP, StepKind.SEND, StepKind.INVOKE)
NAMES: Final = 10
OFFERED: Final = 500
"""Steps that a rerun can begin at; of longer runs, the first ones."""


class RerunForm(ReasonForm):
    """Asks for the input, and for the key if another run has it."""

    held = forms.ChoiceField(
        label=gettext_lazy("Key"),
        choices=[
            ("stop", gettext_lazy("keep the key, and start nothing while that run goes on")),
            ("new", gettext_lazy("use a new key")),
        ],
        widget=forms.RadioSelect,
        initial="stop",
        required=False,
    )
    key = forms.CharField(
        label=gettext_lazy("New key"),
        help_text=gettext_lazy("By which the run is found; empty: none."),
        max_length=255,
        required=False,
    )

    payload = JsonField(
        label=gettext_lazy("Input"),
        help_text=gettext_lazy(
            "The data of the event, as JSON. Left as it is, the new run has the same event; masked values "
            "keep their originals."
        ),
        mapping=True,
    )


class Rerun(RunOperation):
    """Starts a new run from the beginning."""

    code, permission = "rerun", "rerun_run"
    title = gettext_lazy("Rerun")
    button = gettext_lazy("Start a new run")
    form_class = RerunForm
    states = (*LIVE, *ENDED)

    @property
    def preview_button(self) -> Any:
        """Return the label of the button that compares."""
        return _("Show the difference") if may_see_payloads(self.request) else ""

    @cached_property
    def shown(self) -> Any:
        """Return the data that the form begins with, masked."""
        return reveal_event(self.target.event, self.target.workflow)

    def make_form(self, data: Any = None) -> forms.Form:
        """Offer the input only to those who may see it, and only if it can be read."""
        form = super().make_form(data)
        if not may_see_payloads(self.request) or not isinstance(self.shown, dict):
            del form.fields["payload"]
        if self.holder is None and (data is None or "held" not in data):
            del form.fields["held"], form.fields["key"]
        return form

    @cached_property
    def holder(self) -> Run | None:
        """Return the run that has the key and has not ended."""
        return find_key_holder(self.using, self.target)

    def fill_in(self) -> dict[str, Any]:
        """Begin with the old input."""
        return {"payload": write_json(self.shown)} if may_see_payloads(self.request) else {}

    def preview(self, cleaned: dict[str, Any]) -> dict[str, Any]:
        """Compare the inputs."""
        lines = compare(self.shown, cleaned.get("payload", self.shown))
        same = all(sign == " " for sign, line in lines)
        return {"template": "durable_django/admin/difference.html", "lines": lines, "same": same}

    def ask(self) -> str:
        """Ask."""
        return _("Start a new run of “%s”? The old run stays as it is.") % self.target.workflow

    def list_consequences(self) -> list[Any]:
        """Name the steps with effects, the key, and a change of the code."""
        told = [_("All steps run again, including those with outside effects."), *self._list_effects()]
        return [*told, *self.tell_key(), *self.tell_version()]

    def tell_key(self) -> list[Any]:
        """Say what becomes of the key, and who has it."""
        if self.holder is None:
            return [_("The new run has the same key, %s.") % self.target.key] if self.target.key else []
        text = _("The key {key} belongs to run {run}, which is {state}.")
        link = show_link(self.site, Run, self.holder.pk)
        state = self.holder.get_status_display()
        return [format_html(text, key=self.target.key, run=link, state=state)]

    def _list_effects(self) -> list[Any]:
        steps = Step.objects.using(self.using).filter(run_id=self.target.pk, kind__in=EFFECTS)
        names = sorted(set(steps.values_list("name", flat=True)[: NAMES * 10]))
        if not names:
            return []
        return [_("In the old run these steps called code or sent something: %s.") % _list(names)]

    def tell_version(self) -> list[Any]:
        """Say how the code differs from that of the old run."""
        workflow = registry.find(self.target.workflow)
        if workflow is None:
            return [_("This process does not know the workflow; a worker that does will execute it.")]
        if workflow.version == self.target.version:
            return []
        values = {"then": self.target.version or "–", "now": workflow.version or "–"}
        return [
            _("The code version was %(then)s then and is %(now)s now.") % values,
            *self._tell_steps(workflow.version),
        ]

    def _tell_steps(self, version: str) -> list[Any]:
        changes = compare_steps(self.using, self.target, version)
        if changes is None:
            return [_("No run of that version has completed yet, so its steps are not known.")]
        told = [
            (_("Steps that runs of now have and this one lacks: %s."), changes.new),
            (_("Steps that this run has and runs of now lack: %s."), changes.gone),
        ]
        return [text % _list(names) for text, names in told if names] or [_("Both have the same steps.")]

    def find_field(self, error: DurableError) -> str:
        """Put errors of the data beside it."""
        return "" if is_of_state(error) or not may_see_payloads(self.request) else "payload"

    def act(self, cleaned: dict[str, Any], **who: Any) -> Any:
        """Rerun."""
        return operations.rerun(self.target.pk, data=self.read_data(cleaned), **self.read_key(cleaned), **who)

    def read_key(self, cleaned: dict[str, Any]) -> dict[str, Any]:
        """Return what was chosen about the key."""
        if cleaned.get("held") == "new":
            return {"key": cleaned.get("key", "")}
        return {"unless_held": "held" in cleaned}

    def tell_refused(self, error: DurableError) -> str:
        """Name the run that has the key."""
        if not isinstance(error, KeyInUse):
            return super().tell_refused(error)
        return (
            _("Nothing was done: the key %(key)s belongs to run %(id)s, which has not ended.") % error.details
        )

    def read_data(self, cleaned: dict[str, Any]) -> Any:
        """Return the data with what was masked, or UNCHANGED."""
        data = cleaned.get("payload", EMPTY)
        if data is EMPTY or write_json(data) == write_json(self.shown):
            return UNCHANGED
        return restore(data, open_event(self.target.event, self.target.workflow))

    def tell(self, made: Any) -> Any:
        """Link to the new run."""
        link = find_page(self.site, "run_change", made.id)
        return format_html('{} <a href="{}">{}</a>', _("A new run was started:"), link, made.id)


class RerunFromForm(RerunForm):
    """Asks for the step, too."""

    step = forms.ChoiceField(label=gettext_lazy("Begin at step"))
    step_input = JsonField(
        label=gettext_lazy("Arguments of this step"),
        help_text=gettext_lazy(
            "A JSON list: what the step is called with the first time, in place of what the code gives. "
            "Empty: as the code gives."
        ),
        required=False,
        rows=4,
    )
    field_order = ("step", "payload", "step_input", "held", "key", "reason")


class RerunFrom(Rerun):
    """Starts a new run that takes over what the old one did before a step."""

    title = gettext_lazy("Rerun from a step")
    form_class = RerunFromForm

    @cached_property
    def steps(self) -> list[Step]:
        """Return the steps in the order in which they were begun."""
        steps = Step.objects.using(self.using).filter(run_id=self.target.pk)
        return list(steps.only("name", "index", "kind", "status").order_by("pk")[:OFFERED])

    def find_obstacle(self) -> str:
        """Say that there is no step."""
        if not self.steps:
            return _("Nothing was done: run %s has no step to begin at.") % self.target.pk
        return super().find_obstacle()

    def make_form(self, data: Any = None) -> forms.Form:
        """Offer the steps."""
        form = super().make_form(data)
        chosen = form.fields["step"]
        assert isinstance(chosen, forms.ChoiceField)
        chosen.choices = [(str(step.pk), _say_step(step)) for step in self.steps]
        if not may_see_payloads(self.request):
            del form.fields["step_input"]
        return form

    def fill_in(self) -> dict[str, Any]:
        """Propose the step of the address, or the first that failed."""
        failed = [step.pk for step in self.steps if step.status == StepStatus.FAILED]
        asked = self.request.GET.get("step", "")
        return {**super().fill_in(), "step": asked or (str(failed[0]) if failed else "")}

    def ask(self) -> str:
        """Ask."""
        text = _("Start a new run of “%s” from one of its steps? The old run stays as it is.")
        return text % self.target.workflow

    def list_consequences(self) -> list[Any]:
        """Say what is copied."""
        told = [_("Completed steps before it are copied and not executed; it and all after it run again.")]
        return [*told, *self._tell_copied(), *self.tell_key(), *self.tell_version()]

    def _tell_copied(self) -> list[Any]:
        begin = next((step for step in self.steps if str(step.pk) == self.fill_in()["step"]), None)
        if begin is None:
            return []
        count = count_copies(self.using, self.target.pk, before=begin.pk)
        text = ngettext(
            "From “%(step)s” on: %(count)d finished step is copied.",
            "From “%(step)s” on: %(count)d finished steps are copied.",
            count,
        )
        return [text % {"step": name_step(begin.name, begin.index), "count": count}]

    def find_field(self, error: DurableError) -> str:
        """Put errors of the step beside it."""
        return "step" if error.code.startswith("step_") else super().find_field(error)

    def act(self, cleaned: dict[str, Any], **who: Any) -> Any:
        """Rerun from the step."""
        step = next(each for each in self.steps if str(each.pk) == cleaned["step"])
        given = cleaned.get("step_input", EMPTY)
        return operations.rerun(
            self.target.pk,
            data=self.read_data(cleaned),
            from_step=StepRef(step.name, step.index),
            step_input=UNCHANGED if given is EMPTY else given,
            **self.read_key(cleaned),
            **who,
        )


def _list(names: list[str]) -> str:
    return ", ".join(names[:NAMES]) + (", …" if len(names) > NAMES else "")


def _say_step(step: Step) -> str:
    return f"{name_step(step.name, step.index)}: {step.get_kind_display()}, {step.get_status_display()}"
