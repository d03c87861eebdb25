"""Start bulk operations in the browser: a question with a number, a form that carries the filter."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, Final

from django import forms
from django.contrib.admin import AdminSite
from django.http import HttpRequest, HttpResponse
from django.utils.formats import number_format
from django.utils.functional import cached_property
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..clock import read_now
from ..engine.bulk import COUNTED, Preview, preview_bulk, start_bulk
from ..engine.bulk_actions import ACTIONS, BulkAction, read_chosen
from ..engine.bulk_filter import say_filter
from ..engine.words import say_instant
from ..exceptions import BulkInvalid, DurableError
from ..models import Run
from .bulk_query import READERS
from .bulk_words import QUESTIONS
from .forms import JsonField, ReasonForm, children_field
from .operation import Operation, is_of_state
from .pages import show_gone
from .permits import may_do, may_view
from .render import find_page, show_link

SAMPLES: Final = 10
TYPED: Final = 100
"""More than so many rows: the operator types the number."""


class StartForm(ReasonForm):
    """Carries the filter and the number that was shown; asks for the number again, and for a value."""

    chosen = forms.CharField(widget=forms.HiddenInput)
    shown = forms.CharField(widget=forms.HiddenInput, required=False)
    seen_at = forms.DateTimeField(widget=forms.HiddenInput, required=False)
    value = JsonField(
        label=gettext_lazy("Value"),
        help_text=gettext_lazy("JSON: what the waiting steps return, as the data of the event or signal."),
        rows=6,
    )
    children = children_field()
    typed = forms.IntegerField(
        label=gettext_lazy("Number"), widget=forms.TextInput(attrs={"inputmode": "numeric"}), localize=False
    )

    def keep(self, *names: str, typed: int | None) -> None:
        """Leave out what is not asked: of value and children those that are not named, and the number."""
        self.number = typed
        for name in {"value", "children"} - set(names):
            del self.fields[name]
        if typed is None:
            del self.fields["typed"]
        else:
            self.fields["typed"].help_text = _("Type %d to go on.") % typed

    def clean_typed(self) -> int:
        """Compare with the number that was shown."""
        given: int = self.cleaned_data["typed"]
        if given != self.number:
            raise forms.ValidationError(_("Type %d to go on.") % (self.number or 0), code="typed")
        return given


class StartBulk(Operation):
    """Starts an operation on all that a list shows; ``target`` is the filter."""

    code, permission = "bulk", "bulk_operate"
    title = gettext_lazy("Bulk operation")
    form_class = StartForm
    dangerous = True
    action: BulkAction | None
    problem = ""

    def find(self) -> Any:
        """Return the filter that the form carries, or that the address of the list stands for."""
        self.name = self.request.GET.get("action", "")
        self.action = ACTIONS.get(self.name)
        if self.action is None:
            return None
        try:
            return self._read_filter()
        except (BulkInvalid, ValueError, TypeError) as error:
            self.problem = str(getattr(error, "message", error))
            return {}

    def _read_filter(self) -> dict[str, Any]:
        assert self.action is not None
        carried = self.request.POST.get("chosen")
        given = json.loads(carried) if carried else READERS[self.action.noun](self.request, self.now)
        return read_chosen(self.action, given)

    @cached_property
    def now(self) -> datetime:
        """The database's time."""
        return read_now(self.using)

    def is_allowed(self) -> bool:
        """Want the permission for bulk operations and that for the action."""
        if self.action is None:
            return may_do(self.request, self.permission)
        seen = may_view(self.request, self.action.model)
        return seen and may_do(self.request, self.permission) and may_do(self.request, self.action.permission)

    def show_missing(self) -> HttpResponse:
        """Say that there is no such action."""
        return show_gone(self.page, self.request, self.name[:40])

    def find_obstacle(self) -> str:
        """Say what is wrong with the filter, or that nothing matches."""
        if self.problem:
            return _("Nothing can be started: %s.") % self.problem
        if self.preview_.matched == 0:
            return _("Nothing was started: nothing matches that this could be done to.")
        return ""

    @cached_property
    def preview_(self) -> Preview:
        """What matches now; a form that comes back carries the number that it showed."""
        if self.problem:
            return Preview(0, True, [])
        return preview_bulk(self.name, self.target, using=self.using, samples=SAMPLES)

    def make_form(self, data: Any = None) -> Any:
        """Ask for the number if there are many."""
        form = StartForm(data, initial=self.fill_in() if data is None else {})
        shown = data.get("shown", "") if data is not None else self._write_shown()
        number, _mark, _exact = shown.partition(":")
        many = int(number) if number.isdecimal() and len(number) < 10 else COUNTED
        assert self.action is not None
        asked = (*self.action.arguments, *self.action.flags)
        form.keep(*asked, typed=many if many > TYPED else None)
        return form

    def fill_in(self) -> dict[str, Any]:
        """Carry the filter, with its instants, and what was counted."""
        return {
            "chosen": json.dumps(self.target),
            "shown": self._write_shown(),
            "seen_at": self.now.isoformat(),
        }

    def _write_shown(self) -> str:
        seen = self.preview_
        return f"{'' if seen.matched is None else seen.matched}:{'exact' if seen.exact else ''}"

    @property
    def button(self) -> Any:
        """Name the action."""
        return QUESTIONS[self.name].button

    def ask(self) -> str:
        """Ask with the number."""
        count = number_format(self.preview_.matched or COUNTED, force_grouping=True)
        about = self.preview_.matched is None or not self.preview_.exact
        if self.preview_.matched is None:
            count = _("more than %s") % count
        elif about:
            count = _("about %s") % count
        return str(QUESTIONS[self.name].ask(self.preview_.matched or COUNTED) % {"count": count})

    def list_consequences(self) -> list[Any]:
        """Say what is chosen, what is safe, and what comes of it."""
        assert self.action is not None
        chosen = say_filter(self.action.fields, self.target)
        words = format_html_join(" · ", "{} <strong>{}</strong>", chosen)
        told: list[Any] = [format_html("{} {}", _("Chosen:"), words)]
        told.append(_("What is created after %s is not touched.") % say_instant(self.read_shown()))
        told.append(QUESTIONS[self.name].consequence)
        told.append(self._list_samples())
        return told

    def read_shown(self) -> datetime:
        """Return when the number was counted: a form that comes back keeps its instant."""
        try:
            return datetime.fromisoformat(self.request.POST.get("seen_at", ""))
        except ValueError:
            return self.now

    def _list_samples(self) -> Any:
        assert self.action is not None
        links = [
            (
                show_link(
                    self.site, type(row), row.pk, str(row) if self.action.model is Run else str(row.name)
                ),
            )
            for row in self.preview_.samples
        ]
        return format_html(
            "{} {}",
            _("Some of them:") if len(links) == SAMPLES else _("These are:"),
            format_html_join(", ", "{}", links),
        )

    def find_field(self, error: DurableError) -> str:
        """Put errors of the value beside it."""
        return "" if is_of_state(error) or self.name != "resolve" else "value"

    def act(self, cleaned: dict[str, Any], **who: Any) -> Any:
        """Store the operation; nothing is counted again."""
        if self.problem:
            raise BulkInvalid(reason=self.problem)
        number, _mark, exact = cleaned["shown"].partition(":")
        matched = int(number) if number.isdecimal() and len(number) < 10 else None
        return start_bulk(
            self.name,
            self.target,
            arguments=_read_arguments(cleaned),
            matched=Preview(matched, bool(exact), []),
            cutoff=cleaned["seen_at"],
            using=self.using,
            **who,
        )

    def tell(self, made: Any) -> Any:
        """Say who carries it out."""
        return _("Bulk operation %d was started. The workers carry it out.") % made.pk

    def find_next(self, made: Any) -> str:
        """Go to its page."""
        return find_page(self.site, "bulkoperation_change", made.pk) or self.find_back()

    def find_home(self) -> str:
        """Return the list that it was asked from."""
        noun = self.action.noun if self.action else "run"
        query = self.request.GET.copy()
        query.pop("action", None)
        return f"{find_page(self.site, f'{noun}_changelist')}?{query.urlencode()}"

    def list_trail(self) -> list[tuple[str, Any]]:
        """Return overview and list."""
        listed = (find_page(self.site, "bulkoperation_changelist"), _("Bulk operations"))
        return [*super().list_trail(), listed]


def list_choices(request: HttpRequest, noun: str) -> list[str]:
    """Return the actions on such rows that the user may take in bulk."""
    if not may_do(request, "bulk_operate"):
        return []
    return [
        name for name, action in ACTIONS.items() if action.noun == noun and may_do(request, action.permission)
    ]


def find_start(site: AdminSite, request: HttpRequest, noun: str, query: str) -> str:
    """Return the address at which an action on all that a list shows is chosen; empty if there is none."""
    if not list_choices(request, noun):
        return ""
    url = find_page(site, "bulk_new")
    return f"{url}?{query}&of={noun}" if url else ""


def _read_arguments(cleaned: dict[str, Any]) -> dict[str, Any]:
    given = {"value": cleaned["value"]} if "value" in cleaned else {}
    return {**given, "children": True} if cleaned.get("children") == "yes" else given


def _name(row: Any) -> str:
    return f"{row.workflow} …{str(row.pk)[-8:]}" if isinstance(row, Run) else str(row.name)
