"""An action in the browser: GET asks, POST acts under the engine's locks, a redirect shows what came of it."""

from __future__ import annotations

from typing import Any, Final

from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.forms import Form
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path
from django.utils.translation import gettext as _

from ..exceptions import DurableError
from .actions import get_actor
from .marks import leave_mark, take_mark
from .operation import Operation
from .pages import show_page

TEMPLATE: Final = "durable_django/admin/ask.html"


def route(page: ModelAdmin[Any], where: str, made: type[Operation], name: str) -> URLPattern:
    """Return the route of an action of the page; ``where`` has a ``key``."""

    def view(request: HttpRequest, key: Any = "") -> HttpResponse:
        return ask_or_act(made(page, request, str(key)))

    return path(where, page.admin_site.admin_view(view), name=f"durable_django_{name}")


def ask_or_act(operation: Operation) -> HttpResponse:
    """Show the question, or do what was confirmed."""
    request = operation.request
    request.current_app = operation.site.name  # as Django's own views do
    if not operation.is_allowed():
        if request.method == "POST":
            operation.log("denied")
        raise PermissionDenied
    if operation.target is None:
        return operation.show_missing()
    if request.method == "POST":
        return _take(operation)
    obstacle = operation.find_obstacle()
    if obstacle:
        messages.warning(request, obstacle)
        return HttpResponseRedirect(operation.find_back())
    return _ask(operation, operation.make_form())


def _take(operation: Operation) -> HttpResponse:
    form = operation.make_form(operation.request.POST)
    if not form.is_valid():
        return _ask(operation, form)
    if operation.preview_button and "preview" in operation.request.POST:
        return _preview(operation, form)
    back = HttpResponseRedirect(operation.find_back())
    if not take_mark(operation.request):
        text = _("Nothing was done: this form was sent before. Open it again.")
        messages.warning(operation.request, text)
        return back
    return _act(operation, form, back)


def _act(operation: Operation, form: Form, back: HttpResponse) -> HttpResponse:
    request, cleaned = operation.request, dict(form.cleaned_data)
    reason = str(cleaned.pop("reason", ""))
    try:
        made = operation.act(cleaned, actor=get_actor(request), reason=reason)
    except DurableError as error:
        field = operation.find_field(error)
        operation.log_refused(error, reason)
        if field:
            form.add_error(field, error.message)
            return _ask(operation, form)
        messages.warning(request, operation.tell_refused(error))
        return back
    if isinstance(operation.target, Model):
        operation.page.log_change(request, operation.target, str(operation.title))
    messages.success(request, operation.tell(made))
    return HttpResponseRedirect(operation.find_next(made))


def _preview(operation: Operation, form: Form) -> HttpResponse:
    try:
        shown = operation.preview(form.cleaned_data)
    except DurableError as error:
        form.add_error(operation.find_field(error) or None, error.message)
        return _ask(operation, form)
    return _ask(operation, form, shown)


def _ask(operation: Operation, form: Form, preview: dict[str, Any] | None = None) -> HttpResponse:
    return show_page(
        operation.page,
        operation.request,
        TEMPLATE,
        title=operation.title,
        operation=operation,
        trail=operation.list_trail(),
        question=operation.ask(),
        consequences=operation.list_consequences(),
        form=form,
        preview=preview,
        mark=leave_mark(operation.request),
        seen=operation.request.POST.get("seen") or operation.read_state(),
        back_url=operation.find_back(),
    )
