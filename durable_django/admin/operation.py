"""What an action of the console is made of: what it is about, asks, does and tells.

An instance lives for one request. ``asking.ask_or_act`` leads it: GET asks, POST acts and goes back.
"""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib.admin import ModelAdmin
from django.db.models import Model
from django.forms import Form
from django.http import HttpRequest, HttpResponse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _

from ..engine.alias import get_alias
from ..engine.refusal import record_refusal
from ..exceptions import DurableError
from .actions import get_actor
from .forms import ReasonForm
from .permits import may_do
from .render import find_page


def is_of_state(error: DurableError) -> bool:
    """Tell whether the engine refused because of the state of things, not because of what was typed."""
    return error.code.endswith(("_refused", "_not_found"))


class Operation:
    """An action on ``target``, which is what ``find`` returns for the key in the address."""

    code: ClassVar[str]
    """Its name in the operator log."""
    permission: ClassVar[str]
    title: ClassVar[Any]
    button: ClassVar[Any]
    form_class: ClassVar[type[Form]] = ReasonForm
    preview_button: ClassVar[Any] = ""
    view_model: ClassVar[type[Model]]
    """The model whose rows one must be allowed to view, too."""
    dangerous: ClassVar[bool] = False

    def __init__(self, page: ModelAdmin[Any], request: HttpRequest, key: str) -> None:
        self.page, self.request, self.key = page, request, key
        self.site = page.admin_site
        self.using = get_alias()
        self.target: Any = self.find()

    def find(self) -> Any:
        """Return what the action is about, or None."""
        raise NotImplementedError

    def is_allowed(self) -> bool:
        """Tell whether the user may do it."""
        view = f"view_{self.view_model._meta.model_name}"
        return may_do(self.request, self.permission) and may_do(self.request, view)

    def show_missing(self) -> HttpResponse:
        """Return the page that says that there is no such thing."""
        raise NotImplementedError

    def find_obstacle(self) -> str:
        """Return why it cannot be done in the present state, empty if it can."""
        return ""

    def make_form(self, data: Any = None) -> Form:
        """Return the form, filled in or as it was sent."""
        return self.form_class(data, initial=self.fill_in())

    def fill_in(self) -> dict[str, Any]:
        """Return what the fields hold at first."""
        return {}

    def ask(self) -> str:
        """Return the question."""
        raise NotImplementedError

    def list_consequences(self) -> list[Any]:
        """Return what will come of it, one sentence each."""
        return []

    def preview(self, cleaned: dict[str, Any]) -> dict[str, Any]:
        """Return what the template of the preview needs; for those with a ``preview_button``."""
        return {}

    def read_state(self) -> str:
        """Return what the page shows of the state, so that a change meanwhile can be told."""
        return ""

    def act(self, cleaned: dict[str, Any], **who: Any) -> Any:
        """Do it; ``who`` is actor and reason."""
        raise NotImplementedError

    def tell(self, made: Any) -> Any:
        """Return the message after it was done."""
        raise NotImplementedError

    def tell_refused(self, error: DurableError) -> str:
        """Return the message after it was refused."""
        return str(error.message)

    def find_field(self, error: DurableError) -> str:
        """Return the field that the error is about, empty if the form cannot help."""
        return ""

    def find_next(self, made: Any) -> str:
        """Return the address to go to when it was done."""
        return self.find_back()

    def find_home(self) -> str:
        """Return the address to go back to."""
        raise NotImplementedError

    def find_back(self) -> str:
        """Return where the user came from, if the page was told, or home."""
        asked = self.request.POST.get("next") or self.request.GET.get("next") or ""
        secure = self.request.is_secure()
        if asked and url_has_allowed_host_and_scheme(asked, {self.request.get_host()}, require_https=secure):
            return asked
        return self.find_home()

    def name_target(self) -> dict[str, Any]:
        """Return the run and the workflow that the operator log names."""
        return {"run_id": None, "workflow": ""}

    def log(self, result: str, reason: str = "") -> None:
        """Note what was not done."""
        actor = get_actor(self.request)
        names = self.name_target() if self.target is not None else {"run_id": None}
        record_refusal(self.using, actor=actor, action=self.code, result=result, reason=reason, **names)

    def log_refused(self, error: DurableError, reason: str) -> None:
        """Note that the engine refused it."""
        why = error.details.get("status") or error.code
        self.log(f"refused: {why}", reason)

    def list_trail(self) -> list[tuple[str, Any]]:
        """Return the links above the title."""
        return [(find_page(self.site, "overview"), _("Overview"))]
