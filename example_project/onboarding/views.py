"""Registration, and the page behind the link in the welcome mail."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.models import User
from django.core.signing import BadSignature
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from example_project.onboarding import operations
from example_project.onboarding.forms import RegistrationForm


@require_http_methods(["GET", "POST"])
def register(request: HttpRequest) -> HttpResponse:
    form = RegistrationForm(request.POST or None)
    if not form.is_valid():
        return render(request, "onboarding/register.html", {"form": form})
    email = form.cleaned_data["email"]
    # The same answer for known addresses: the page must not tell who has an account.
    if not User.objects.filter(username=email).exists():
        operations.register(email)
    messages.success(request, _("Look into your mailbox for the link that activates your account."))
    return redirect("onboarding:register")


@require_http_methods(["GET", "POST"])
def activate(request: HttpRequest, token: str) -> HttpResponse:
    try:
        user_id = operations.read_token(token)
    except BadSignature as error:
        raise Http404(_("This link is not valid.")) from error
    if request.method == "GET":  # mail scanners open links, so opening must not activate
        return render(request, "onboarding/activate.html")
    if operations.activate(user_id):
        messages.success(request, _("Your account is active."))
    return redirect("home")
