"""The German catalogue: complete, compiled, and with the plural forms of the language."""

from __future__ import annotations

import re
from gettext import GNUTranslations
from pathlib import Path
from typing import Any

from django.test import Client
from django.urls import reverse
from django.utils import translation

import durable_django
from tests.acceptance.test_console_list import make_live, make_run
from tests.plugins.store import Store

ROOT = Path(durable_django.__file__).parent
FOLDER = ROOT / "locale" / "de" / "LC_MESSAGES"
MARKS = re.compile(r"%(?:\(\w+\))?[sd]|\{\w*\}")


def read_catalogue() -> dict[Any, str]:
    with (FOLDER / "django.mo").open("rb") as file:
        return dict(GNUTranslations(file)._catalog)  # type: ignore[attr-defined]


def test_each_translation_has_the_places_of_its_text() -> None:
    """No number, name or time is lost, and none is asked for that is not there."""
    for text, translated in read_catalogue().items():
        source, form = text if isinstance(text, tuple) else (text, None)
        if source and form != 0:
            wanted = set(MARKS.findall(source)) if form is None else None
            assert translated, source
            assert wanted is None or wanted == set(MARKS.findall(translated)), source


def test_every_text_of_the_templates_is_translated() -> None:
    """A text that is new in a template is missed here before an operator misses it."""
    known = {text[0] if isinstance(text, tuple) else text for text in read_catalogue()}
    asked = set()
    for path in ROOT.rglob("templates/**/*.html"):
        asked |= set(re.findall(r"{% translate [\"'](.+?)[\"'] %}", path.read_text()))
    assert asked
    assert asked <= known, sorted(asked - known)


def test_every_text_of_the_screens_is_translated() -> None:
    """The same for texts that the code of the admin hands over in one piece."""
    known = {text[0] if isinstance(text, tuple) else text for text in read_catalogue()}
    asked = set()
    for path in (ROOT / "admin").rglob("*.py"):
        asked |= set(re.findall(r"\b(?:_|gettext_lazy)\(\"([^\"]+)\"\)", path.read_text()))
    assert asked
    assert asked <= known, sorted(asked - known)


def test_the_catalogue_is_compiled_from_its_source() -> None:
    """Every entry of the source is in the compiled file."""
    entries = re.findall(r'^msgid "(.+)"\nmsgstr "(.+)"$', (FOLDER / "django.po").read_text(), re.MULTILINE)
    known = read_catalogue()
    assert len(entries) > 300
    for source, translated in entries:
        unescaped = [each.replace('\\"', '"').replace("\\n", "\n") for each in (source, translated)]
        assert known[unescaped[0]] == unescaped[1]


def test_pages_are_german_with_its_plural_forms(store: Store, admin_client: Client, settings: Any) -> None:
    """One run and two runs are told apart; states, filters and headings are translated."""
    settings.LANGUAGE_CODE = "de"
    with translation.override("de"):
        make_run(status="failed", workflow="one")
        for _ in range(2):
            make_run(status="failed", workflow="two")
        make_live("waiting", waits_for="code")
        overview = admin_client.get(reverse("admin:durable_django_overview")).content.decode()
        listed = admin_client.get(reverse("admin:durable_django_run_changelist")).content.decode()
    assert "1 Lauf von „one“ ist fehlgeschlagen" in overview
    assert "2 Läufe von „two“ sind fehlgeschlagen" in overview
    assert "1 Lauf wartet auf Code" in overview
    for text in (
        "fehlgeschlagen",
        "letzte 24 Stunden",
        "Weitere Filter",
        "4 von 4 gezeigt",
        "Heute fehlgeschlagen",
    ):
        assert text in listed
