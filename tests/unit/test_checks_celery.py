from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from celery import Celery, current_app
from celery._state import set_default_app
from django.core import mail

from durable_django.beat import beat_schedule
from durable_django.checks.celery import check_celery
from tests.processes import ROOT

REDIS = {"socket_timeout": 2, "socket_connect_timeout": 2}
AMQP = {"confirm_publish": True}
Make = Callable[..., None]


@pytest.fixture
def celery_app() -> Iterator[Make]:
    """Make the Celery app of this process, with the documented profile but for the given settings."""
    before = current_app._get_current_object()

    def make(
        broker: str = "redis://localhost/0", transport: dict[str, Any] | None = None, **conf: Any
    ) -> None:
        app = Celery("project", broker=broker)
        profile = {
            "worker_prefetch_multiplier": 1,
            "broker_transport_options": REDIS if transport is None else transport,
        }
        app.conf.update({**profile, **conf})

    yield make
    before.set_current()
    set_default_app(before)


def annotate(**options: Any) -> dict[str, Any]:
    return {"task_annotations": {"durable_django.run": options}}


def ids() -> list[str]:
    return [str(message.id).removeprefix("durable_django.") for message in check_celery(None)]


def test_the_documented_profile_is_clean(celery_app: Make) -> None:
    """The profile of docs/celery.md has no complaint, on either broker."""
    celery_app()
    assert ids() == []
    celery_app("amqp://localhost//", AMQP)
    assert ids() == []


@pytest.mark.parametrize(
    ("number", "conf"),
    [
        ("E101", {"accept_content": ["json", "pickle"]}),
        ("E101", {"accept_content": ["application/x-yaml"]}),
        ("W102", annotate(acks_late=True)),
        ("W103", annotate(reject_on_worker_lost=True)),
        ("W104", {"worker_prefetch_multiplier": 4}),
        ("W105", {"result_backend": "redis://localhost/1", **annotate(ignore_result=False)}),
        ("W107", {"transport": {"socket_timeout": 2}}),
        ("W107", {"transport": {}, "broker": "sentinel://localhost:26379"}),
        ("W108", {"transport": {}, "broker": "amqp://localhost//"}),
        ("W109", {"transport": {**REDIS, "visibility_timeout": 10}}),
        ("W110", {"task_time_limit": 300}),
    ],
)
def test_each_deviation_has_its_own_message(celery_app: Make, number: str, conf: dict[str, Any]) -> None:
    """One setting that is off gives one message, with what to do."""
    celery_app(**conf)
    assert ids() == [number]
    (message,) = check_celery(None)
    assert re.search(r"CELERY_[A-Z_]+", str(message.hint) + message.msg)
    assert message.is_serious() == number.startswith("E")


def test_settings_of_other_tasks_are_not_our_business(celery_app: Make) -> None:
    """Late ack or results as the project's default do not reach our tasks, so nobody is warned."""
    celery_app(task_acks_late=True, task_reject_on_worker_lost=True, result_backend="redis://localhost/1")
    assert ids() == []


def test_a_process_without_an_app_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """W101: a process that never imported the project's app would send to a broker of nobody's choice."""
    before = current_app._get_current_object()
    fallback = Celery("default", set_as_current=False)
    monkeypatch.setattr("celery._state._tls.current_app", fallback)
    try:
        assert ids() == ["W101"]
    finally:
        before.set_current()


def test_eager_tasks_outside_tests_are_reported(celery_app: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """W106: always_eager is for tests, and only they may use it in silence."""
    celery_app(task_always_eager=True)
    assert ids() == []
    monkeypatch.delattr(mail, "outbox")
    assert ids() == ["W106"]


def test_somebody_must_tick(celery_app: Make, configure: Callable[..., None]) -> None:
    """W111: without the workers' tick and without beat's entry nothing would ever wake."""
    configure(TICK_FROM_WORKERS=False)
    celery_app()
    assert ids() == ["W111"]
    celery_app(beat_schedule=beat_schedule())
    assert ids() == []
    celery_app(beat_scheduler="django_celery_beat.schedulers:DatabaseScheduler")
    assert ids() == []


def test_every_id_is_documented_and_no_other() -> None:
    """docs/celery.md lists the ids of the Celery checks."""
    code = (ROOT / "durable_django" / "checks" / "celery.py").read_text()
    ids = {f"W{number}" for number in re.findall(r"_warn\((\d+)", code)}
    ids |= set(re.findall(r"durable_django\.(E\d+)", code))
    documented = re.findall(r"durable_django\.([EW]1\d\d)", (ROOT / "docs" / "celery.md").read_text())
    assert len(ids) == 12
    assert sorted(documented) == sorted(ids)
