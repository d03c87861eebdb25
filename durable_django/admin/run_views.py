"""Views of the list of runs: those that everybody needs, and those that users save and share."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

from django import forms
from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..engine.alias import get_alias
from ..models import Run, SavedView
from .pages import build_trail, show_page
from .permits import may_do
from .render import find_page

FORM: Final = "durable_django/admin/view_form.html"
MOST: Final = 100
LONGEST: Final = 2_000
NOT_SAVED: Final = ("older", "newer", "place", "e", "p")
SYSTEM: Final = (
    (gettext_lazy("Failed today"), "status=failed&created=24h"),
    (gettext_lazy("Stuck"), "status=stuck&created=all"),
    (gettext_lazy("Retrying"), "status=retrying&created=all"),
    (gettext_lazy("Waiting overdue"), "late=1&created=all"),
    (gettext_lazy("Long running"), "status=running&lasts=60&created=all"),
    (gettext_lazy("Started by operators"), "origin=operator,rerun&created=7d"),
)


class ViewForm(forms.Form):
    """Asks for a name, and those who may share whether to."""

    name = forms.CharField(label=gettext_lazy("Name"), max_length=80)
    shared = forms.BooleanField(label=gettext_lazy("Show it to everybody"), required=False)


def list_views(page: ModelAdmin[Run], request: HttpRequest) -> list[dict[str, Any]]:
    """Return the views, each with its address and whether it is the present one, in one query."""
    here, owner = read_query(request), _name_owner(request)
    saved = SavedView.objects.using(get_alias()).filter(Q(owner=owner) | Q(shared=True))
    views = [{"name": name, "query": query, "delete_url": ""} for name, query in SYSTEM]
    for row in saved.order_by("name")[:MOST]:
        mine = row.owner == owner
        url = find_page(page.admin_site, "run_view_delete", row.pk) if mine else ""
        views.append(
            {"name": row.name, "query": row.query, "delete_url": url, "by": "" if mine else row.owner_name}
        )
    return [{**each, "current": _sort(str(each["query"])) == _sort(here)} for each in views]


def save_view(page: ModelAdmin[Run], request: HttpRequest) -> HttpResponse:
    """Ask for a name, and save the filters of the address under it."""
    _check(page, request)
    form = ViewForm(request.POST or None)
    if not may_do(request, "share_savedview"):
        del form.fields["shared"]
    if request.method == "POST" and form.is_valid() and _save(request, form):
        messages.success(request, _("The view “%s” was saved.") % form.cleaned_data["name"])
        return HttpResponseRedirect(f"{_find_list(page)}?{read_query(request)}")
    return show_page(
        page,
        request,
        FORM,
        title=_("Save this view"),
        question=_("Save the filters of this list under a name?"),
        filters=parse_qsl(read_query(request)),
        form=form,
        button=_("Save the view"),
        back_url=f"{_find_list(page)}?{read_query(request)}",
        trail=build_trail(page, ("", _("Save this view"))),
    )


def delete_view(page: ModelAdmin[Run], request: HttpRequest, key: int) -> HttpResponse:
    """Ask, and delete a view of the user's own."""
    _check(page, request)
    rows = SavedView.objects.using(get_alias()).filter(pk=key, owner=_name_owner(request))
    view = rows.first()
    if view is None:
        raise Http404
    if request.method == "POST":
        rows.delete()
        messages.success(request, _("The view “%s” was deleted.") % view.name)
        return HttpResponseRedirect(_find_list(page))
    return show_page(
        page,
        request,
        FORM,
        title=_("Delete the view"),
        question=_("Delete the view “%s”? The runs stay as they are.") % view.name,
        filters=parse_qsl(view.query),
        form=None,
        button=_("Delete the view"),
        back_url=f"{_find_list(page)}?{view.query}",
        trail=build_trail(page, ("", _("Delete the view"))),
    )


def read_query(request: HttpRequest) -> str:
    """Return the filters of the address as a query string."""
    pairs = [(name, value) for name, value in request.GET.items() if name not in NOT_SAVED and value]
    return urlencode(pairs)


def _save(request: HttpRequest, form: ViewForm) -> bool:
    query = read_query(request)
    if len(query) > LONGEST:
        form.add_error(None, _("These filters are too long to be saved."))
        return False
    view = SavedView(
        name=form.cleaned_data["name"],
        query=query,
        owner=_name_owner(request),
        owner_name=request.user.get_username(),
        shared=form.cleaned_data.get("shared", False),
    )
    try:
        with transaction.atomic(using=get_alias()):
            view.save(using=get_alias())
    except IntegrityError:
        form.add_error("name", _("You have a view of this name."))
        return False
    return True


def _check(page: ModelAdmin[Run], request: HttpRequest) -> None:
    request.current_app = page.admin_site.name  # as Django's own views do
    if not page.has_view_permission(request):
        raise PermissionDenied


def _name_owner(request: HttpRequest) -> str:
    return str(request.user.pk)


def _find_list(page: ModelAdmin[Run]) -> str:
    return find_page(page.admin_site, "run_changelist")


def _sort(query: str) -> list[tuple[str, str]]:
    return sorted(parse_qsl(query))
