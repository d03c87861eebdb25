"""Pages for staff: ask for an import and look at its totals."""

from __future__ import annotations

from django.contrib.admin.views.decorators import staff_member_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods

from example_project.imports.models import Import
from example_project.imports.operations import request_import


@staff_member_required
@require_http_methods(["GET", "POST"])
def list_imports(request: HttpRequest) -> HttpResponse:
    if request.method == "POST":
        return redirect(request_import())
    return render(request, "imports/list.html", {"imports": Import.objects.all()[:50]})


@staff_member_required
@require_GET
def show_import(request: HttpRequest, pk: int) -> HttpResponse:
    return render(request, "imports/detail.html", {"import": get_object_or_404(Import, pk=pk)})
