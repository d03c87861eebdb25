"""Forms of the actions: a reason for the log, and JSON that says where it is wrong."""

from __future__ import annotations

import json
from typing import Any, Final, NoReturn

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

REASON_LENGTH: Final = 255
MOST_ROWS: Final = 30
EMPTY: Final = object()
"""What a field that nothing was written into stands for."""


class JsonArea(forms.Textarea):
    """As high as its text, within bounds."""

    def get_context(self, name: str, value: Any, attrs: Any) -> dict[str, Any]:
        """Count the lines."""
        context = super().get_context(name, value, attrs)
        least = int(context["widget"]["attrs"]["rows"])
        lines = str(value or "").count("\n") + 2
        context["widget"]["attrs"]["rows"] = min(max(lines, least), MOST_ROWS)
        return context


class JsonField(forms.CharField):
    """JSON as text; ``EMPTY`` if it is left empty.

    Args:
        mapping: Whether only an object will do.
    """

    def __init__(self, *, mapping: bool = False, rows: int = 6, **kwargs: Any) -> None:
        attributes = {"rows": rows, "class": "dd-json", "spellcheck": "false", "autocomplete": "off"}
        super().__init__(widget=JsonArea(attrs=attributes), strip=False, **kwargs)
        self.mapping = mapping

    def to_python(self, value: Any) -> Any:
        """Return the value, or say in which line and column the text is wrong."""
        text = super().to_python(value) or ""
        if not text.strip():
            return EMPTY
        found = parse_json(text)
        if self.mapping and not isinstance(found, dict):
            raise forms.ValidationError(_("This must be a JSON object, such as {“id”: 1}."), code="mapping")
        return found

    def validate(self, value: Any) -> None:
        """Want a value if the field is required; null is one."""
        if self.required and value is EMPTY:
            raise forms.ValidationError(self.error_messages["required"], code="required")

    def run_validators(self, value: Any) -> None:
        """Have none: they are for text."""


def parse_json(text: str) -> Any:
    """Return the value of JSON text.

    Raises:
        ValidationError: It is none; names line and column.
    """
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        values = {"line": error.lineno, "column": error.colno, "reason": error.msg}
        raise forms.ValidationError(
            _("This is not valid JSON: %(reason)s (line %(line)d, column %(column)d).") % values, code="json"
        ) from error
    except RecursionError as error:
        raise forms.ValidationError(_("This JSON is nested too deeply."), code="json") from error


def _refuse_constant(name: str) -> NoReturn:
    raise forms.ValidationError(_("%s is no JSON; use null or a text.") % name, code="json")


def children_field() -> forms.ChoiceField:
    """Return the question what becomes of the runs that cancelled ones have invoked."""
    return forms.ChoiceField(
        label=gettext_lazy("Runs that it invoked"),
        choices=[("no", gettext_lazy("leave them")), ("yes", gettext_lazy("cancel them too"))],
        required=False,
        widget=forms.RadioSelect,
        initial="no",
    )


class ReasonForm(forms.Form):
    """Asks why."""

    required_css_class = "dd-required"

    reason = forms.CharField(
        label=gettext_lazy("Reason"),
        help_text=gettext_lazy("Kept in the operator log."),
        required=False,
        max_length=REASON_LENGTH,
        widget=forms.TextInput(attrs={"class": "vTextField"}),
    )

    def __init__(self, data: Any = None, initial: dict[str, Any] | None = None) -> None:
        super().__init__(data, initial=initial, label_suffix="")
        self.order_fields([name for name in self.fields if name != "reason"] + ["reason"])
