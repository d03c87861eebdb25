from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from io import StringIO

import pytest
from django.core.management import call_command

from durable_django.conf import settings as durable
from durable_django.management.commands.durable import VERBS
from durable_django.management.console import Console
from durable_django.models import AuditEntry, Event, Run
from tests.commands import run_durable
from tests.plugins.processes import Project
from tests.plugins.store import Store

LISTED = [name for name, verb in VERBS.items() if verb.HELP]


def run_process(project: Project, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "django", "durable", *arguments],
        env=project.env,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.process
def test_help_lists_every_verb_on_one_line(project: Callable[..., Project]) -> None:
    """``durable --help`` names each verb with its help on one line, and hides the internal one."""
    done = run_process(project(), "--help")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    for name in LISTED:
        assert [line for line in lines if line.split() == [name, *VERBS[name].HELP.split()]], name
    assert not [line for line in lines if line.split()[:1] == ["serve"]]
    assert "Exit codes: 0" in done.stdout


@pytest.mark.process
@pytest.mark.parametrize("name", LISTED)
def test_each_verb_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """``durable <verb> --help`` says what the verb does and what its exit codes mean."""
    with pytest.raises(SystemExit) as ended:
        call_command("durable", name, "--help")
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert "--database ALIAS" in said
    assert "Exit codes: 0" in said


@pytest.mark.process
@pytest.mark.parametrize(
    "arguments",
    [(), ("nonsense",), ("list", "--status", "bogus"), ("list", "--limit", "0"), ("send",), ("show",)],
    ids=" ".join,
)
def test_wrong_usage_exits_with_2(project: Callable[..., Project], arguments: tuple[str, ...]) -> None:
    """Arguments that cannot be understood end the process with code 2 and no traceback."""
    done = run_process(project(), *arguments)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.process
def test_failure_exits_with_1(project: Callable[..., Project]) -> None:
    """A verb that is refused ends the process with code 1, one sentence, and no traceback."""
    done = run_process(project(), "show", "01890000-0000-7000-8000-000000000000")
    assert done.returncode == 1
    assert "[run_not_found]" in done.stderr
    assert "Traceback" not in done.stderr


def test_unknown_alias_is_refused(store: Store) -> None:
    """``--database`` with an alias that is not configured names those that are."""
    said = run_durable("list", "--database", "nowhere", fails=True)
    assert "'nowhere'" in said.error
    assert "default" in said.error


def test_database_option_wins_over_the_setting(store: Store, configure: Callable[..., None]) -> None:
    """``--database`` decides where events are stored, and only for that call."""
    configure(DATABASE="default")
    run_durable("send", "a/b", "--database", store.alias)
    assert Event.objects.using(store.alias).count() == 1
    assert durable.DATABASE == "default"


def test_actions_are_logged_under_the_user(store: Store) -> None:
    """What changes something is in the operator log under ``cli:`` and the user's name."""
    run_durable("send", "a/b")
    entry = AuditEntry.objects.get()
    assert entry.action == "send"
    assert entry.actor.startswith("cli:")
    assert len(entry.actor) > len("cli:")


def test_unmigrated_database_is_explained(store: Store) -> None:
    """A database error is a sentence that points to the doctor, not a traceback."""
    table = Run._meta.db_table
    with store.connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {table} RENAME TO hidden_run")
    try:
        said = run_durable("list", fails=True)
    finally:
        with store.connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE hidden_run RENAME TO {table}")
    assert "durable doctor" in said.error


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("no_color", "coloured"), [("", True), ("1", False)])
def test_colour_only_where_it_is_wanted(
    monkeypatch: pytest.MonkeyPatch, no_color: str, coloured: bool
) -> None:
    """A terminal gets colours unless NO_COLOR is set; anything else never does."""
    from django.core.management.base import OutputWrapper

    monkeypatch.setenv("NO_COLOR", no_color)
    screen, pipe = (OutputWrapper(kind()) for kind in (Terminal, StringIO))
    assert ("\x1b[" in Console(screen, screen).paint("ok", "fine")) is coloured
    assert Console(pipe, pipe).paint("ok", "fine") == "fine"


def test_data_cannot_control_the_terminal(store: Store) -> None:
    """Escape sequences in stored data are shown as question marks."""
    said = run_durable("send", "a/\x1b]0;owned\x07b")
    assert "\x1b]" not in said.out
    assert "\x07" not in said.out
    assert "a/?]0;owned?b" in said.out
