from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core import checks, mail
from django.core.checks import CheckMessage
from django.db import connections
from pytest_django import DjangoDbBlocker

from durable_django import EventTrigger, workflow
from durable_django.checks import (
    TAG,
    check_alias,
    check_dispatcher,
    check_expressions,
    check_inline,
    check_router,
    check_servers,
    check_settings,
    check_sqlite,
    check_time_zones,
    check_workflows_module,
)
from durable_django.checks.rules import RULES
from durable_django.conf import DEFAULTS
from tests.processes import ROOT

Configure = Callable[..., None]
AddDatabase = Callable[..., str]


def shown(messages: list[CheckMessage]) -> list[tuple[str, str, str]]:
    return [(str(each.id).removeprefix("durable_django."), each.msg, str(each.hint)) for each in messages]


@pytest.fixture
def add_database() -> Iterator[AddDatabase]:
    """Configure a further database for one test: ``add_database("apart", ENGINE=…)``."""
    added: list[str] = []

    def add(alias: str, **config: Any) -> str:
        connections.settings[alias] = {**connections.settings["default"], "OPTIONS": {}, **config}
        added.append(alias)
        return alias

    yield add
    for alias in added:
        connections[alias].close()
        del connections[alias]
        del connections.settings[alias]


@pytest.fixture
def production(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    """No DEBUG, and none of what Django sets up for tests."""
    monkeypatch.delattr(mail, "outbox")
    settings.DEBUG = False


def test_the_settings_of_this_suite_pass() -> None:
    """A project that is set up well hears nothing."""
    assert checks.run_checks(tags=[TAG]) == []


def test_e001_the_setting_is_not_a_dict(settings: Any) -> None:
    """Anything but a dict is reported, and does not break the other checks."""
    settings.DURABLE_DJANGO = ["RETRIES"]
    assert shown(check_settings()) == [
        (
            "E001",
            "DURABLE_DJANGO is a list, not a dict.",
            'Write DURABLE_DJANGO = {"RETRIES": 4}, or leave it out for the defaults.',
        )
    ]
    assert checks.run_checks(tags=[TAG]) == check_settings()


def test_no_setting_at_all_is_fine(settings: Any) -> None:
    """The defaults need no setting."""
    del settings.DURABLE_DJANGO
    assert check_settings() == []


def test_e002_an_unknown_key_near_a_known_one(configure: Configure) -> None:
    """A misspelt key is answered with the nearest one."""
    configure(LEASE_SECOND=5)
    assert shown(check_settings()) == [
        ("E002", "DURABLE_DJANGO has no key 'LEASE_SECOND'.", "Did you mean 'LEASE_SECONDS'?")
    ]


def test_e002_an_unknown_key_near_none(configure: Configure) -> None:
    """A key that resembles none is answered with all of them."""
    configure(X9=5)
    assert shown(check_settings()) == [
        ("E002", "DURABLE_DJANGO has no key 'X9'.", f"Known keys: {', '.join(sorted(DEFAULTS))}.")
    ]


@pytest.mark.parametrize(
    ("key", "value", "hint"),
    [
        ("RETRIES", "4", "Use a whole number from 0 to 20. The default is 4."),
        ("RETRIES", True, "Use a whole number from 0 to 20. The default is 4."),
        ("RETRIES", 21, "Use a whole number from 0 to 20. The default is 4."),
        ("STEP_LIMIT", 10_001, "Use a whole number from 1 to 10,000. The default is 1000."),
        ("WORKER_THREADS", 0, "Use a whole number of at least 1. The default is 8."),
        ("LEASE_SECONDS", float("nan"), "Use a number from 0.1 to 86,400. The default is 30.0."),
        ("LEASE_SECONDS", 0, "Use a number from 0.1 to 86,400. The default is 30.0."),
        ("DEFAULT_QUEUE", "", "Use text of 1 to 64 characters. The default is 'durable'."),
        ("DATABASE", 5, "Use text of 1 to 255 characters, or None. The default is None."),
        (
            "WORKFLOWS_MODULE",
            "work flows",
            "Use the name of a module, such as 'workflows', or None. The default is 'workflows'.",
        ),
        ("TICK_FROM_WORKERS", 1, "Use True or False. The default is True."),
        ("RUNTIME_DIR", 1, "Use a path, or None. The default is None."),
    ],
)
def test_e003_a_value_that_cannot_work(configure: Configure, key: str, value: Any, hint: str) -> None:
    """A wrong type or a value out of range is answered with the range and the default."""
    configure(**{key: value})
    assert shown(check_settings()) == [("E003", f"DURABLE_DJANGO[{key!r}] cannot be {value!r}.", hint)]


def test_every_key_has_a_rule_that_its_default_obeys() -> None:
    """No setting goes unchecked, and no default is refused."""
    assert RULES.keys() == DEFAULTS.keys()
    assert [key for key, value in DEFAULTS.items() if not RULES[key].fits(value)] == []


def test_a_path_object_is_a_path(configure: Configure, tmp_path: Path) -> None:
    """RUNTIME_DIR takes what pathlib makes."""
    configure(RUNTIME_DIR=tmp_path)
    assert check_settings() == []


def test_e004_a_misspelt_dispatcher(configure: Configure) -> None:
    """A name near one of ours is answered with it."""
    configure(DISPATCHER="celry")
    assert shown(check_dispatcher()) == [
        (
            "E004",
            "DURABLE_DJANGO['DISPATCHER'] is 'celry': celry doesn't look like a module path.",
            "Did you mean 'celery'?",
        )
    ]


def test_e004_a_dispatcher_that_is_none(configure: Configure) -> None:
    """A class without nudge() is refused."""
    configure(DISPATCHER="collections.OrderedDict")
    assert shown(check_dispatcher()) == [
        (
            "E004",
            "DURABLE_DJANGO['DISPATCHER'] is 'collections.OrderedDict': it has no nudge() method.",
            "Use 'local', 'celery', 'inline', or the dotted path of a class with a nudge() method.",
        )
    ]


def test_a_dispatcher_of_the_project_is_welcome(configure: Configure) -> None:
    """The dotted path of any class with nudge() will do."""
    configure(DISPATCHER="durable_django.dispatch.inline.InlineDispatcher")
    assert check_dispatcher() == []


def test_e005_an_expression_that_does_not_compile() -> None:
    """The report names the workflow, the trigger, the column and the place of the function."""

    @workflow(
        id="broken", trigger=[EventTrigger("a/ok", if_exp="event.data.x > 1"), EventTrigger("a/b", "1 +")]
    )
    def broken(ctx: Any) -> None: ...

    messages = check_expressions()
    assert shown(messages) == [
        (
            "E005",
            (
                "Workflow 'broken', trigger 'a/b': The expression '1 +' is not valid at column 4: "
                "it does not follow the grammar of CEL here."
            ),
            "Mend if_exp; until then these events do not start the workflow.",
        )
    ]
    assert "test_checks.py:" in messages[0].obj


def test_e005_an_expression_that_is_never_true() -> None:
    """A condition that is not boolean is found before any event comes."""

    @workflow(id="never", trigger=EventTrigger("a/b", if_exp="1 + 1"))
    def never(ctx: Any) -> None: ...

    assert [each.id for each in check_expressions()] == ["durable_django.E005"]


def test_e006_a_database_that_is_not_configured(configure: Configure) -> None:
    """An alias that DATABASES lacks is reported once, and breaks no other check."""
    configure(DATABASE="elsewhere")
    assert shown(checks.run_checks(tags=[TAG])) == [
        (
            "E006",
            "The durable tables are to be in the database 'elsewhere', which is not in DATABASES.",
            f"Known: {', '.join(connections)}. Set DURABLE_DJANGO['DATABASE'] to one of them.",
        )
    ]


def test_e007_a_vendor_without_statements(configure: Configure, add_database: AddDatabase) -> None:
    """Only PostgreSQL and SQLite can hold the durable tables."""
    configure(DATABASE=add_database("other", ENGINE="django.db.backends.dummy"))
    assert shown(check_alias()) == [
        (
            "E007",
            "The durable tables are in the database 'other', whose vendor is 'unknown'.",
            "Set DURABLE_DJANGO['DATABASE'] to the alias of a PostgreSQL or SQLite database.",
        )
    ]


def test_e008_no_router(configure: Configure, add_database: AddDatabase, settings: Any) -> None:
    """With a database apart, the models must be routed there; our router does it."""
    configure(DATABASE=add_database("apart"))
    settings.DATABASE_ROUTERS = []
    assert shown(check_router()) == [
        (
            "E008",
            "DURABLE_DJANGO['DATABASE'] is 'apart', but the database routers send the models elsewhere.",
            "Put 'durable_django.router.DurableRouter' first in DATABASE_ROUTERS.",
        )
    ]
    settings.DATABASE_ROUTERS = ["durable_django.router.DurableRouter"]
    assert check_router() == []


def test_e009_naive_time(settings: Any) -> None:
    """Without USE_TZ there are no instants."""
    settings.USE_TZ = False
    assert shown(check_time_zones()) == [
        (
            "E009",
            "USE_TZ is off, so datetimes have no time zone and timers would be wrong.",
            "Set USE_TZ = True.",
        )
    ]


def test_e010_a_server_that_is_too_old(
    configure: Configure,
    postgres_database: None,
    django_db_blocker: DjangoDbBlocker,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What Django refuses on connecting becomes a message instead of a traceback."""
    configure(DATABASE="postgres")
    connection = connections["postgres"]
    with django_db_blocker.unblock():
        connection.close()
        monkeypatch.setattr(connection.features, "minimum_database_version", (99,))
        messages = shown(check_servers(databases=["postgres"]))
        connection.close()
    assert [(id, hint) for id, _, hint in messages] == [
        ("E010", "Upgrade the server; PostgreSQL 14 is the oldest that works.")
    ]
    assert re.fullmatch(
        r"The database 'postgres' is too old for the durable tables: "
        r"PostgreSQL 99 or later is required \(found [\d.]+\)\.",
        messages[0][1],
    )


def test_a_server_is_only_asked_if_the_command_concerns_it(configure: Configure) -> None:
    """Without ``--database`` no connection is opened."""
    assert check_servers(databases=None) == []
    assert check_servers(databases=["postgres"]) == []


def test_w001_no_app_has_the_module(configure: Configure) -> None:
    """A module name that the project chose and no app has is most likely a slip."""
    configure(WORKFLOWS_MODULE="worfklows")
    assert shown(check_workflows_module()) == [
        (
            "W001",
            "No installed app has a module 'worfklows', so no workflow was loaded from one.",
            "Mend DURABLE_DJANGO['WORKFLOWS_MODULE'], or set it to None to import workflows yourself.",
        )
    ]


@pytest.mark.parametrize("name", [None, "models"])
def test_a_module_that_exists_or_none_is_fine(configure: Configure, name: str | None) -> None:
    """None turns the search off, and one app that has the module is enough."""
    configure(WORKFLOWS_MODULE=name)
    assert check_workflows_module() == []


def test_a_dotted_module_that_no_app_has(configure: Configure) -> None:
    """A dotted name whose parent is missing is reported, not raised."""
    configure(WORKFLOWS_MODULE="flows.all")
    assert [each.id for each in check_workflows_module()] == ["durable_django.W001"]


def test_w002_inline_outside_tests(production: None, configure: Configure) -> None:
    """A request must not execute whole runs in production."""
    configure(DISPATCHER="inline")
    assert shown(check_inline()) == [
        (
            "W002",
            "DURABLE_DJANGO['DISPATCHER'] is 'inline' and DEBUG is off: requests execute whole runs.",
            "Use 'local' or 'celery'; 'inline' is for tests and the shell.",
        )
    ]
    configure(DISPATCHER="local")
    assert check_inline() == []


def test_w003_sqlite_in_production(production: None) -> None:
    """SQLite is a choice for one host, so it is said once."""
    assert shown(check_sqlite()) == [
        (
            "W003",
            "The durable tables are in the SQLite database 'default' and DEBUG is off.",
            "SQLite serves one host, with one writer at a time. Use PostgreSQL for more, or silence this.",
        )
    ]


def test_w004_sqlite_with_deferred_transactions(configure: Configure, add_database: AddDatabase) -> None:
    """SQLite's default lets two writers fail each other half-way."""
    configure(DATABASE=add_database("apart"))
    assert shown(check_sqlite()) == [
        (
            "W004",
            "SQLite transactions of 'apart' do not begin as IMMEDIATE: some will fail, 'database is locked'.",
            "Set DATABASES['apart']['OPTIONS']['transaction_mode'] = 'IMMEDIATE'.",
        )
    ]


def test_w005_sqlite_without_write_ahead_log(
    configure: Configure, add_database: AddDatabase, tmp_path: Path, django_db_blocker: DjangoDbBlocker
) -> None:
    """The journal mode is read from the file, whoever set it."""
    apart = add_database("apart", NAME=str(tmp_path / "apart.sqlite3"))
    configure(DATABASE=apart)
    with django_db_blocker.unblock():
        assert shown(check_servers(databases=[apart])) == [
            (
                "W005",
                "The SQLite database 'apart' has the journal mode 'delete': readers block writers.",
                "Set DATABASES['apart']['OPTIONS']['init_command'] = 'PRAGMA journal_mode=WAL;'.",
            )
        ]
        connections[apart].cursor().execute("PRAGMA journal_mode=WAL")
        assert check_servers(databases=[apart]) == []


def test_every_id_is_documented_and_no_other() -> None:
    """docs/checks.md lists the ids of this file; those of Celery, from 101 on, stand in docs/celery.md."""
    pattern = re.compile(r"durable_django\.([EW]0\d\d)")
    files = (ROOT / "durable_django" / "checks").glob("*.py")
    in_code = {number for file in files for number in pattern.findall(file.read_text())}
    assert set(pattern.findall((ROOT / "docs" / "checks.md").read_text())) == in_code
